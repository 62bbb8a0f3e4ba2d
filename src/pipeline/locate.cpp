#include "pipeline/locate.hpp"

#include <variant>

namespace quantize {
namespace {

// One step from a node to the input that holds the value, with the index there. False: no input.
struct Step {
  const ValueNode& node;
  const ValueNode*& input;
  std::uint64_t& index;

  bool go(const Value& to) const {
    input = to.get();
    return true;
  }
  bool operator()(const ReadTensor&) const { return false; }
  bool operator()(const Generated&) const { return false; }
  bool operator()(const Zeros&) const { return false; }
  bool operator()(const Reshape& op) const { return go(op.input); }
  bool operator()(const Map& op) const { return go(op.input); }
  bool operator()(const SwapRows& op) const {
    index = input_index(op, node.shape, index);
    return go(op.input);
  }
  bool operator()(const RegroupRows& op) const {
    index = input_index(op, node.shape, index);
    return go(op.input);
  }
  bool operator()(const SliceRows& op) const {
    index += op.first * (op.input->shape.values() / op.input->shape.dims()[0]);
    return go(op.input);
  }
  bool operator()(const Stack& op) const { return among(op.inputs); }
  bool operator()(const Concatenate& op) const { return among(op.inputs); }
  bool operator()(const Transpose& op) const {
    const std::uint64_t columns = node.shape.row_values();
    const std::uint64_t rows = node.shape.dims()[node.shape.rank() - 2];
    const std::uint64_t matrix = index / (rows * columns);
    const std::uint64_t within = index % (rows * columns);
    index = matrix * rows * columns + within % columns * rows + within / columns;
    return go(op.input);
  }
  bool among(const std::vector<Value>& inputs) const {
    for (const Value& candidate : inputs) {
      if (index < candidate->shape.values()) return go(candidate);
      index -= candidate->shape.values();
    }
    return false;
  }
};

}  // namespace

Place locate(const ValueNode& value, const Source& source, std::uint64_t index) {
  const ValueNode* node = &value;
  for (const ValueNode* next = node; std::visit(Step{*node, next, index}, node->op);) node = next;
  const auto* read = std::get_if<ReadTensor>(&node->op);
  if (!read) return {std::string(source.path()), {}};
  const SourceTensor& tensor = source.tensors()[read->tensor];
  // What was decoded or merged is nowhere as it is.
  if (!tensor.decoded_from.empty() || !tensor.changed_by.empty())
    return {source.files()[tensor.file].path, {}};
  const std::uint64_t block = info(tensor.type).block_values;
  return {source.files()[tensor.file].path,
          tensor.data_offset + stored_bytes(tensor.type, index / block * block)};
}

}  // namespace quantize
