// Every build's bytes against committed constants: a build can agree with itself and be wrong.
#include "quant/selftest/golden.hpp"

#include <gtest/gtest.h>

#include "quantize/isa.hpp"

namespace quantize::test {
namespace {

using selftest::compute_golden_blocks;
using selftest::golden_blocks;
using selftest::GoldenHashes;

constexpr const char* kHowTo = "; build the target golden_blocks and run it (--write to accept)";

TEST(GoldenBlocks, EveryEncoderGivesTheCommittedHash) {
  const GoldenHashes golden = golden_blocks();
  for (const auto& [name, hash] : compute_golden_blocks()) {
    const auto at = golden.find(name);
    if (at == golden.end()) {
      ADD_FAILURE() << name << " has no golden hash" << kHowTo;
    } else {
      EXPECT_EQ(at->second, hash) << name << kHowTo;
    }
  }
}

TEST(GoldenBlocks, NoHashOutlivesItsEncoder) {
  const GoldenHashes computed = compute_golden_blocks();
  for (const auto& entry : golden_blocks()) {
    EXPECT_EQ(computed.count(entry.first), 1U) << entry.first;
  }
}

TEST(GoldenBlocks, EverySchemeHasAnEncoder) {
  for (const TypeInfo& type : all_types()) {
    if (type.codec != Codec::scheme) continue;
    const Quantizer* quantizer = find_quantizer(type.type);
    ASSERT_NE(quantizer, nullptr) << type.name;
    EXPECT_NE(quantizer->encode, nullptr) << type.name;
  }
}

TEST(Contraction, MultiplicationAndAdditionRoundSeparately) {
  for (const Isa& isa : isas()) {
    if (!isa.usable) continue;
    EXPECT_FALSE(isa.is_contracted()) << isa.name;
  }
}

}  // namespace
}  // namespace quantize::test
