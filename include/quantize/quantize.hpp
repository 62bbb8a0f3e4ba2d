// The public library in one include.
#pragma once

#include "quantize/dtype.hpp"
#include "quantize/error.hpp"
#include "quantize/escape.hpp"
#include "quantize/importance.hpp"
#include "quantize/inspect.hpp"
#include "quantize/isa.hpp"
#include "quantize/metadata.hpp"
#include "quantize/model.hpp"
#include "quantize/pipeline.hpp"
#include "quantize/plan.hpp"
#include "quantize/quantizer.hpp"
#include "quantize/report.hpp"
#include "quantize/selftest.hpp"
#include "quantize/sink.hpp"
#include "quantize/source.hpp"
#include "quantize/tensor.hpp"
