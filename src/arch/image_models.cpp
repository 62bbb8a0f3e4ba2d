#include "arch/image_models.hpp"

#include <algorithm>
#include <iterator>
#include <unordered_set>

namespace quantize {
namespace {

constexpr std::string_view kUNetKept =
    "class_embedding. time_embedding. add_embedding. time_embed. label_emb. conv_in. conv_out. "
    "=input_blocks.0.0.weight =out.2.weight";

// In this order: the first whose signs are there. SD 1 has what every U-Net has, so it comes late.
constexpr ImageModel kImageModels[] = {
    {"flux",
     {"transformer_blocks.0.attn.norm_added_k.weight", "double_blocks.0.img_attn.proj.weight"},
     "transformer_blocks.0.attn.norm_added_k.weight",
     "",
     "",
     "txt_in. img_in. time_in. vector_in. guidance_in. final_layer."},
    {"sd3",
     {"transformer_blocks.0.attn.add_q_proj.weight", "joint_blocks.0.x_block.attn.qkv.weight"},
     "transformer_blocks.0.attn.add_q_proj.weight",
     "",
     "",
     "final_layer. time_text_embed. context_embedder. t_embedder. y_embedder. x_embedder. "
     "=proj_out.weight =pos_embed"},
    {"aura",
     {"double_layers.3.modX.1.weight",
      "joint_transformer_blocks.3.ff_context.out_projection.weight"},
     "joint_transformer_blocks.3.ff_context.out_projection.weight",
     "",
     "",
     "t_embedder. init_x_linear. =modF.1.weight =cond_seq_linear.weight =final_linear.weight "
     "=positional_encoding =register_tokens"},
    {"hidream",
     {"caption_projection.0.linear.weight double_stream_blocks.0.block.ff_i.shared_experts.w3."
      "weight"},
     "",
     ".ff_i.gate.weight img_emb.emb_pos",
     "",
     "p_embedder. t_embedder. x_embedder. final_layer. .ff_i.gate.weight caption_projection."},
    {"cosmos",
     {"blocks.0.mlp.layer1.weight blocks.0.adaln_modulation_cross_attn.1.weight"},
     "",
     "pos_embedder",
     "_extra_state accum_",
     "p_embedder. t_embedder. t_embedding_norm. x_embedder. pos_embedder. final_layer."},
    {"ltxv",
     {"adaln_single.emb.timestep_embedder.linear_2.weight transformer_blocks.27.scale_shift_table "
      "caption_projection.linear_2.weight"},
     "",
     "scale_shift_table",
     "",
     "adaln_single. caption_projection. patchify_proj. proj_out. scale_shift_table"},
    {"hyvid",
     {"double_blocks.0.img_attn_proj.weight "
      "txt_in.individual_token_refiner.blocks.1.self_attn_qkv.weight"},
     "",
     "",
     "",
     "txt_in. img_in. time_in. vector_in. guidance_in. final_layer."},
    {"wan",
     {"blocks.0.self_attn.norm_q.weight text_embedding.2.weight head.modulation"},
     "",
     ".modulation",
     "",
     "modulation. patch_embedding. text_embedding. time_projection. time_embedding. img_emb. "
     "head."},
    {"sdxl",
     {"down_blocks.0.downsamplers.0.conv.weight add_embedding.linear_1.weight",
      "input_blocks.3.0.op.weight input_blocks.6.0.op.weight output_blocks.2.2.conv.weight "
      "output_blocks.5.2.conv.weight",
      "label_emb.0.0.weight"},
     "",
     "",
     "",
     kUNetKept,
     true},
    {"sd1",
     {"down_blocks.0.downsamplers.0.conv.weight",
      "input_blocks.3.0.op.weight input_blocks.6.0.op.weight input_blocks.9.0.op.weight "
      "output_blocks.2.1.conv.weight output_blocks.5.2.conv.weight output_blocks.8.2.conv.weight"},
     "",
     "",
     "",
     kUNetKept,
     true},
    {"lumina2",
     {"cap_embedder.1.weight context_refiner.0.attention.qkv.weight"},
     "",
     "",
     "",
     "t_embedder. x_embedder. final_layer. cap_embedder. context_refiner. noise_refiner."},
};

// What stands before the names: in files that hold other models too, and in files of one alone.
constexpr std::string_view kPrefixes[] = {"model.diffusion_model.", "model."};
constexpr std::string_view kOwnPrefix = "net.";

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

template <class Holds>
bool any_word(std::string_view words, Holds holds) {
  while (!words.empty()) {
    const std::string_view word = words.substr(0, words.find(' '));
    if (!word.empty() && holds(word)) return true;
    words.remove_prefix(std::min(words.size(), word.size() + 1));
  }
  return false;
}

bool has_part(std::string_view words, std::string_view name) noexcept {
  return any_word(words, [&](std::string_view word) {
    return word.front() == '=' ? name == word.substr(1) : name.find(word) != std::string_view::npos;
  });
}

std::string_view prefix_of(const std::vector<std::string_view>& names) {
  const auto has = [&](std::string_view prefix) {
    return [prefix](std::string_view name) { return starts_with(name, prefix); };
  };
  for (const std::string_view prefix : kPrefixes)
    if (std::any_of(names.begin(), names.end(), has(prefix))) return prefix;
  return !names.empty() && std::all_of(names.begin(), names.end(), has(kOwnPrefix))
             ? kOwnPrefix
             : std::string_view();
}

}  // namespace

bool ImageModel::is_precise(std::string_view name) const noexcept {
  return has_part(precise, name);
}
bool ImageModel::is_ignored(std::string_view name) const noexcept {
  return has_part(ignored, name);
}
bool ImageModel::is_kept(std::string_view name) const noexcept { return has_part(kept, name); }

std::span<const ImageModel> image_models() noexcept { return kImageModels; }

const ImageModel* find_image_model(std::string_view architecture) noexcept {
  const auto found =
      std::find_if(std::begin(kImageModels), std::end(kImageModels),
                   [&](const ImageModel& m) { return m.architecture == architecture; });
  return found == std::end(kImageModels) ? nullptr : &*found;
}

RecognizedImageModel recognize_image_model(const std::vector<std::string_view>& names) {
  RecognizedImageModel out;
  out.prefix = prefix_of(names);
  std::unordered_set<std::string_view> own;
  for (const std::string_view name : names)
    if (starts_with(name, out.prefix)) own.insert(name.substr(out.prefix.size()));
  const auto missing = [&](std::string_view name) { return own.count(name) == 0; };
  for (const ImageModel& model : kImageModels) {
    for (const std::string_view sign : model.signs)
      if (!sign.empty() && !any_word(sign, missing)) {
        out.model = &model;
        return out;
      }
  }
  return out;
}

}  // namespace quantize
