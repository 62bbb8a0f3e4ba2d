// The values that the tests encode are those of the self test.
#pragma once

#include "quant/selftest/rows.hpp"

namespace quantize::test {

using selftest::fill_row;
using selftest::importance_row;
using selftest::Random;
using selftest::RowKind;

}  // namespace quantize::test
