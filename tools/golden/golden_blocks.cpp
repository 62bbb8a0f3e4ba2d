// Shows where this build's encoders differ from src/quant/selftest/golden.def, and rewrites the
// file if told to with --write. Run the oracle tests first: a new hash is only as good as they are.
#include <cstdio>
#include <cstring>

#include "quant/selftest/golden.hpp"

int main(int argc, char** argv) {
  using namespace quantize::selftest;
  const bool write = argc > 1 && std::strcmp(argv[1], "--write") == 0;
  const GoldenHashes old = golden_blocks();
  const GoldenHashes now = compute_golden_blocks();
  bool differs = old.size() != now.size();
  for (const auto& [name, hash] : now) {
    const auto at = old.find(name);
    if (at != old.end() && at->second == hash) continue;
    differs = true;
    std::printf("%-16s %s -> %016llx\n", name.c_str(), at == old.end() ? "(none)" : "differs",
                static_cast<unsigned long long>(hash));
  }
  if (!write) return differs ? 1 : 0;
  std::FILE* file = std::fopen(QUANTIZE_GOLDEN_FILE, "w");
  if (file == nullptr) return 1;
  for (const auto& [name, hash] : now) {
    std::fprintf(file, "QUANTIZE_GOLDEN(\"%s\", 0x%016llx)\n", name.c_str(),
                 static_cast<unsigned long long>(hash));
  }
  return std::fclose(file) == 0 ? 0 : 1;
}
