#include "plan/image_rules.hpp"

#include <algorithm>
#include <iterator>

namespace quantize {
namespace {

enum class Role : std::uint8_t { value, fused, down, other };

// By parts of names, the first that is found; an entry may ask for a second part.
struct RoleRow {
  std::string_view part, also;
  Role role;
};
constexpr RoleRow kRoles[] = {
    {"attn_v.weight", "", Role::value},
    {".to_v.weight", "", Role::value},
    {".v.weight", "", Role::value},
    {".attn.w1v.weight", "", Role::value},
    {".attn.w2v.weight", "", Role::value},
    {"_attn.v_proj.weight", "", Role::value},
    {"attn_qkv.weight", "", Role::fused},
    {"attn.qkv.weight", "", Role::fused},
    {"attention.qkv.weight", "", Role::fused},
    {"ffn_down", "", Role::down},
    {"experts.", ".w2.weight", Role::down},
    {".ffn.2.weight", "", Role::down},
    {".ff.net.2.weight", "", Role::down},
    {".mlp.layer2.weight", "", Role::down},
    {".adaln_modulation_mlp.2.weight", "", Role::down},
    {".feed_forward.w2.weight", "", Role::down},
};

constexpr std::uint64_t kAll = ~std::uint64_t{0};
struct TypeRow {
  Role role;
  std::string_view preset;
  std::uint64_t first;  // only so many, from the first on
  DType type;
};
constexpr TypeRow kTypes[] = {
    {Role::value, "q2_k", kAll, DType::q3_k},   {Role::value, "q3_k_m", 2, DType::q5_k},
    {Role::value, "q3_k_m", kAll, DType::q4_k}, {Role::value, "q3_k_l", kAll, DType::q5_k},
    {Role::value, "q4_k_m", kAll, DType::q6_k}, {Role::value, "q5_k_m", kAll, DType::q6_k},
    {Role::value, "q4_k_s", 4, DType::q5_k},    {Role::fused, "q3_k_m", kAll, DType::q4_k},
    {Role::fused, "q3_k_l", kAll, DType::q4_k}, {Role::fused, "q4_k_m", kAll, DType::q5_k},
    {Role::fused, "q5_k_m", kAll, DType::q6_k}, {Role::down, "q3_k_m", kAll, DType::q4_k},
    {Role::down, "q3_k_l", kAll, DType::q5_k},  {Role::down, "q4_k_s", kAll, DType::q5_k},
    {Role::down, "q4_k_m", kAll, DType::q6_k},  {Role::down, "q5_k_m", kAll, DType::q6_k},
    {Role::down, "q4_0", kAll, DType::q4_1},    {Role::down, "q5_0", kAll, DType::q5_1},
};
constexpr std::string_view kReasons[] = {"attention values carry more error than average",
                                         "attention values among them carry more error",
                                         "down projections carry more error than average", ""};

Role role_of(std::string_view name) noexcept {
  const auto contains = [name](std::string_view part) {
    return name.find(part) != std::string_view::npos;
  };
  for (const RoleRow& row : kRoles)
    if (contains(row.part) && contains(row.also)) return row.role;
  return Role::other;
}

}  // namespace

ImageChoice ImageMixture::choose(std::string_view name) {
  const Role role = role_of(name);
  const std::uint64_t ordinal = role == Role::value ? values_++ : 0;
  for (const TypeRow& row : kTypes)
    if (row.role == role && row.preset == preset_ && ordinal < row.first)
      return {row.type, kReasons[static_cast<std::size_t>(role)]};
  return {default_type_, {}};
}

}  // namespace quantize
