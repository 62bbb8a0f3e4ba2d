// Field numbers are those of the published schema (ModelProto): 1 pieces {1 text, 2 score, 3 type},
// 2 trainer {3 algorithm}, 3 normalizer {2 precompiled table, 3 dummy prefix, 4 extra whitespace}.
// Everything else is skipped.
#include "convert/tokenizer/sentencepiece.hpp"

#include <bit>
#include <cmath>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "core/protobuf.hpp"
#include "core/utf8.hpp"

namespace quantize {
namespace {

struct Reader {
  explicit Reader(const std::string& name) : file(name) {}

  const std::string& file;
  SentencePieceModel model;
  std::vector<SentencePiece>& pieces = model.pieces;
  std::unordered_set<std::string_view> texts;  // views of the input
  bool has_unknown = false;

  void expect(const WireField& field, WireType type) const {
    if (field.type != type)
      fail(ErrorCode::SP01, file, field.tag_offset, "field with the wrong wire type",
           std::to_string(static_cast<int>(field.type)), std::to_string(static_cast<int>(type)));
  }

  void piece(WireReader message, std::uint64_t offset) {
    if (pieces.size() == kMaxTokens)
      fail(ErrorCode::SP09, file, offset, "too many pieces", {}, std::to_string(kMaxTokens));
    SentencePiece piece;
    std::string_view text;
    std::uint64_t text_offset = offset;
    std::uint64_t type_offset = offset;
    while (const auto field = message.next()) {
      switch (field->number) {
        case 1:
          expect(*field, WireType::bytes);
          text = field->content;
          text_offset = field->value_offset;
          break;
        case 2:
          expect(*field, WireType::fixed32);
          piece.score = std::bit_cast<float>(static_cast<std::uint32_t>(field->number_value));
          if (!std::isfinite(piece.score))
            fail(ErrorCode::SP05, file, field->value_offset, "a piece's score is not finite");
          break;
        case 3:
          expect(*field, WireType::varint);
          type_offset = field->value_offset;
          if (field->number_value < 1 || field->number_value > 6)
            fail(ErrorCode::SP06, file, type_offset, "unknown piece type",
                 std::to_string(field->number_value), "1 to 6");
          piece.type = static_cast<SentencePiece::Type>(field->number_value);
          break;
        default:
          break;
      }
    }
    if (text.empty()) fail(ErrorCode::SP04, file, text_offset, "a piece has no text");
    if (!utf8::is_valid(text))
      fail(ErrorCode::SP04, file, text_offset, "a piece's text is not UTF-8", std::string(text));
    if (!texts.insert(text).second)
      fail(ErrorCode::SP04, file, text_offset, "a piece occurs twice", std::string(text));
    if (piece.type == SentencePiece::Type::unknown) {
      if (has_unknown)
        fail(ErrorCode::SP07, file, type_offset, "a second piece of type unknown", {}, "one");
      has_unknown = true;
    }
    piece.text = text;
    pieces.push_back(std::move(piece));
  }

  void trainer(WireReader message) {
    while (const auto field = message.next()) {
      if (field->number != 3) continue;
      expect(*field, WireType::varint);
      using Algorithm = SentencePieceModel::Algorithm;
      model.algorithm = field->number_value == 1   ? Algorithm::unigram
                        : field->number_value == 2 ? Algorithm::bpe
                                                   : Algorithm::other;
    }
  }

  void normalizer(WireReader message) {
    while (const auto field = message.next()) {
      if (field->number == 3 || field->number == 4) {
        expect(*field, WireType::varint);
        (field->number == 3 ? model.add_dummy_prefix : model.remove_extra_whitespaces) =
            field->number_value != 0;
      }
      if (field->number != 2) continue;
      expect(*field, WireType::bytes);
      const std::string_view table = field->content;
      if (table.empty()) continue;
      if (table.size() < 4)
        fail(ErrorCode::SP08, file, field->value_offset, "the normaliser table is too short",
             std::to_string(table.size()), "0 or at least 4 bytes");
      std::uint32_t inner = 0;
      for (unsigned i = 0; i < 4; ++i)
        inner |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(table[i])) << (8 * i);
      if (inner > table.size() - 4 || inner % 4 != 0)
        fail(ErrorCode::SP08, file, field->value_offset, "inner size of the normaliser table",
             std::to_string(inner), "a multiple of 4, at most " + std::to_string(table.size() - 4));
      model.normalizer_table = table;
    }
  }
};

}  // namespace

SentencePieceModel parse_sentencepiece(const std::string& bytes, const std::string& file) {
  if (bytes.empty()) fail(ErrorCode::SP03, file, 0, "the file is empty");
  Reader reader(file);
  WireReader model(bytes, 0, file, ErrorCode::SP01, ErrorCode::SP02);
  while (const auto field = model.next()) {
    if (field->number == 1) {
      reader.expect(*field, WireType::bytes);
      reader.piece(model.inside(*field), field->value_offset);
    } else if (field->number == 2) {
      reader.expect(*field, WireType::bytes);
      reader.trainer(model.inside(*field));
    } else if (field->number == 3) {
      reader.expect(*field, WireType::bytes);
      reader.normalizer(model.inside(*field));
    }
  }
  if (reader.pieces.empty()) fail(ErrorCode::SP03, file, std::nullopt, "there are no pieces");
  if (!reader.has_unknown)
    fail(ErrorCode::SP07, file, std::nullopt, "no piece has type unknown", {}, "one");
  return std::move(reader.model);
}

}  // namespace quantize
