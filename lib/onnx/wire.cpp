// The protobuf wire format; see wire.h.
#include "onnx/wire.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "hone/support/buffer.h"
#include "hone/support/error.h"
#include "hone/support/text.h"

namespace hone::onnx::wire {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie in the file");

// As deep as protobuf itself follows messages, by default.
constexpr int deepest_message = 100;

// Text is nearly always ASCII: eight bytes at a time.
bool is_ascii(std::string_view text) {
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    if (word & 0x8080808080808080u) return false;
  }
  for (; at < text.size(); ++at) {
    if (static_cast<unsigned char>(text[at]) & 0x80u) return false;
  }
  return true;
}

void require_utf8(std::string_view bytes, const Field& field) {
  if (!is_ascii(bytes) && !is_utf8(bytes)) {
    bad_input("field {} at byte {} is text, but not UTF-8: {}", field.info->name, field.whole.begin, quote(bytes));
  }
}

const char* describe(Type type) {
  switch (type) {
    case Type::varint:
      return "a varint";
    case Type::fixed64:
      return "8 bytes";
    case Type::bytes:
      return "a length and bytes";
    case Type::fixed32:
      return "4 bytes";
  }
  return "";
}

bool fits(FieldKind kind, Type type) {
  switch (kind) {
    case FieldKind::none:
      return true;
    case FieldKind::varint:
      return type == Type::varint;
    case FieldKind::fixed32:
      return type == Type::fixed32;
    case FieldKind::fixed64:
      return type == Type::fixed64;
    case FieldKind::text:
    case FieldKind::bytes:
    case FieldKind::message:
      return type == Type::bytes;
    case FieldKind::varints:
      return type == Type::varint || type == Type::bytes;
    case FieldKind::fixed32s:
      return type == Type::fixed32 || type == Type::bytes;
    case FieldKind::fixed64s:
      return type == Type::fixed64 || type == Type::bytes;
  }
  return false;
}

}  // namespace

Source::Source(std::shared_ptr<const File> file)
    : file_(std::move(file)), size_(file_->size()), memory_(new std::byte[window_size]) {
  window_ = memory_.get();
}

Source::Source(std::string_view text)
    : size_(text.size()), window_(reinterpret_cast<const std::byte*>(text.data())), end_(text.size()) {}

const std::string& Source::name() const {
  static const std::string none;
  return file_ ? file_->name() : none;
}

void Source::move_window(std::uint64_t at) {
  const std::uint64_t length = std::min<std::uint64_t>(window_size, size_ - at);
  file_->read(at, {memory_.get(), length});
  begin_ = at;
  end_ = at + length;
}

std::uint64_t Source::long_varint(std::uint64_t& at, std::uint64_t end) {
  std::uint64_t value = 0;
  const std::uint64_t start = at;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (at >= end) {
      if (end >= size_) bad_input("ends inside a number at byte {}: it was cut short", start);
      bad_input("damaged at byte {}: a number runs past the end of its message", start);
    }
    if (at < begin_ || at >= end_) move_window(at);
    const auto byte = std::to_integer<std::uint64_t>(window_[at++ - begin_]);
    if (shift == 63 && byte > 1) break;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  bad_input("damaged at byte {}: a number of more than 64 bits", start);
}

void Source::read(std::uint64_t at, std::span<std::byte> out) {
  if (out.empty()) return;
  if (at >= begin_ && at + out.size() <= end_) {
    std::memcpy(out.data(), window_ + (at - begin_), out.size());
  } else if (out.size() >= window_size) {
    file_->read(at, out);
  } else {
    move_window(at);
    std::memcpy(out.data(), window_, out.size());
  }
}

std::uint32_t Source::fixed32(std::uint64_t at) {
  std::uint32_t value = 0;
  read(at, std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

std::uint64_t Source::fixed64(std::uint64_t at) {
  std::uint64_t value = 0;
  read(at, std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

void Source::append(Range range, std::string& to) {
  if (holds(range)) {
    to.append(reinterpret_cast<const char*>(window_) + (range.begin - begin_), range.size());
    return;
  }
  if (range.size() > window_size) require_memory(range.size(), "a field of the model");
  const std::size_t before = to.size();
  to.resize(before + range.size());
  read(range.begin, std::as_writable_bytes(std::span(to.data() + before, range.size())));
}

std::string Source::string(Range range) {
  if (holds(range)) return {reinterpret_cast<const char*>(window_) + (range.begin - begin_), range.size()};
  std::string result;
  append(range, result);
  return result;
}

bool Fields::next() {
  if (at_ >= end_) return false;
  const std::uint64_t start = at_;
  const std::uint64_t tag = source_.varint(at_, end_);
  const std::uint64_t number = tag >> 3;
  const auto type = static_cast<unsigned>(tag & 7);
  if (number == 0 || number > 0x1fffffff) bad_input("damaged at byte {}: no field has the number {}", start, number);
  if (type == 3 || type == 4) bad_input("damaged at byte {}: a group, which ONNX files don't have", start);
  if (type > 5) bad_input("damaged at byte {}: no encoding has the number {}", start, type);
  field_.number = static_cast<std::uint32_t>(number);
  field_.type = static_cast<Type>(type);
  field_.info = &field_info(message_, field_.number);
  if (!fits(field_.info->kind, field_.type)) {
    bad_input("damaged at byte {}, or no ONNX: field {} of {} as {}", start, field_.info->name, message_name(message_),
              describe(field_.type));
  }
  if (field_.type == Type::varint) {
    field_.number_value = source_.varint(at_, end_);
    field_.payload = {};
  } else {
    std::uint64_t length = field_.type == Type::fixed32 ? 4 : 8;
    if (field_.type == Type::bytes) length = source_.varint(at_, end_);
    if (length > end_ - at_) {
      const char* name = field_.known() ? field_.info->name : "(unknown)";
      if (end_ >= source_.size()) {
        bad_input("ends at byte {}, inside field {} of {}, which needs {} bytes more: it was cut short", source_.size(),
                  name, message_name(message_), length - (end_ - at_));
      }
      bad_input("damaged at byte {}: {} bytes for field {} of {}, which ends after {}", start, length, name,
                message_name(message_), end_ - at_);
    }
    field_.payload = {at_, at_ + length};
    if (field_.type == Type::fixed32) field_.number_value = source_.fixed32(at_);
    if (field_.type == Type::fixed64) field_.number_value = source_.fixed64(at_);
    at_ += length;
  }
  field_.whole = {start, at_};
  return true;
}

std::string text(Source& source, const Field& field) {
  std::string result = source.string(field.payload);
  require_utf8(result, field);
  return result;
}

void append_text(Source& source, const Field& field, std::string& to) {
  const std::size_t before = to.size();
  source.append(field.payload, to);
  require_utf8(std::string_view(to).substr(before), field);
}

void validate(Source& source, Range range, Message message, int depth) {
  if (depth > deepest_message) {
    bad_input("messages nested more than {} deep at byte {}", deepest_message, range.begin);
  }
  for (Fields fields(source, range, message); fields.next();) {
    switch (fields->info->kind) {
      case FieldKind::message:
        validate(source, fields->payload, fields->info->message, depth + 1);
        break;
      case FieldKind::text:
        text(source, *fields);
        break;
      case FieldKind::varints:
        for_each_varint(source, *fields, [](std::uint64_t) {});
        break;
      case FieldKind::fixed32s:
      case FieldKind::fixed64s:
        if (fields->type == Type::bytes &&
            fields->payload.size() % (fields->info->kind == FieldKind::fixed32s ? 4 : 8) != 0) {
          bad_input("damaged at byte {}: {} bytes of field {} are no whole numbers", fields->whole.begin,
                    fields->payload.size(), fields->info->name);
        }
        break;
      default:
        break;
    }
  }
}

void keep(Source& source, const Field& field, std::string& rest) {
  const std::size_t before = rest.size();
  source.append(field.whole, rest);
  if (field.info->kind == FieldKind::text) {
    require_utf8(std::string_view(rest).substr(before + (field.payload.begin - field.whole.begin)), field);
  } else if (field.info->kind == FieldKind::message) {
    validate(source, field.payload, field.info->message);
  }
}

void append_fixed32s(Source& source, const Field& field, std::vector<float>& to) {
  if (field.type == Type::fixed32) {
    to.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(field.number_value)));
    return;
  }
  if (field.payload.size() % 4 != 0) {
    bad_input("damaged at byte {}: {} bytes of field {} are no whole numbers", field.whole.begin, field.payload.size(),
              field.info->name);
  }
  const std::size_t before = to.size();
  to.resize(before + field.payload.size() / 4);
  source.read(field.payload.begin, std::as_writable_bytes(std::span(to).subspan(before)));
}

std::size_t varint_size(std::uint64_t value) { return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7; }

void put_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void put_tag(std::string& out, std::uint32_t number, Type type) {
  put_varint(out, std::uint64_t{number} << 3 | static_cast<std::uint64_t>(type));
}

void put_number(std::string& out, std::uint32_t number, std::uint64_t value) {
  put_tag(out, number, Type::varint);
  put_varint(out, value);
}

void put_bytes(std::string& out, std::uint32_t number, std::string_view bytes) {
  put_tag(out, number, Type::bytes);
  put_varint(out, bytes.size());
  out.append(bytes);
}

}  // namespace hone::onnx::wire
