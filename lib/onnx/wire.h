// The protobuf wire format: walking a file or a string field by field through a small window, and appending fields to a
// string.
//
// Walking checks: varints of at most 10 bytes, lengths inside the message, field numbers, no groups (proto2 files of ONNX
// have none), known fields in the encoding that ONNX gives them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hone/support/file.h"
#include "onnx/messages.h"

namespace hone::onnx::wire {

enum class Type : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t size() const { return end - begin; }
};

// Bytes of a file, seen through one window that moves, or of a string. Offsets count from the start of either.
class Source {
 public:
  explicit Source(std::shared_ptr<const File> file);
  explicit Source(std::string_view text);  // which must outlive it

  std::uint64_t size() const { return size_; }
  const std::shared_ptr<const File>& file() const { return file_; }  // null for a string
  const std::string& name() const;

  // Raises bad_input where the number does not end before `end`; `at` moves past it.
  std::uint64_t varint(std::uint64_t& at, std::uint64_t end) {
    if (at >= begin_ && at < end_ && at < end) {
      const auto byte = std::to_integer<std::uint64_t>(window_[at - begin_]);
      if (byte < 0x80) {
        ++at;
        return byte;
      }
    }
    return long_varint(at, end);
  }
  std::uint32_t fixed32(std::uint64_t at);  // in range: checked by whoever knows the field
  std::uint64_t fixed64(std::uint64_t at);
  void read(std::uint64_t at, std::span<std::byte> out);
  void append(Range range, std::string& to);
  std::string string(Range range);

 private:
  static constexpr std::size_t window_size = 64 << 10;  // a window of a weights file costs no more than two pages of it
  void move_window(std::uint64_t at);
  std::uint64_t long_varint(std::uint64_t& at, std::uint64_t end);
  bool holds(Range range) const { return range.begin >= begin_ && range.end <= end_; }

  std::shared_ptr<const File> file_;
  std::uint64_t size_ = 0;
  std::unique_ptr<std::byte[]> memory_;
  const std::byte* window_ = nullptr;
  std::uint64_t begin_ = 0, end_ = 0;  // of the window
};

struct Field {
  std::uint32_t number = 0;
  Type type = Type::varint;
  std::uint64_t number_value = 0;  // varint, fixed32, fixed64
  Range payload;                   // bytes
  Range whole;                     // with tag and length
  const FieldInfo* info = nullptr;
  bool known() const { return info->kind != FieldKind::none; }
};

// The fields of a message, in order: for (Fields fields(source, range, Message::node); fields.next();) use(*fields);
class Fields {
 public:
  Fields(Source& source, Range range, Message message)
      : source_(source), at_(range.begin), end_(range.end), message_(message) {}
  bool next();
  const Field& operator*() const { return field_; }
  const Field* operator->() const { return &field_; }

 private:
  Source& source_;
  std::uint64_t at_, end_;
  Message message_;
  Field field_;
};

// The text of a string field; raises bad_input where it is not UTF-8.
std::string text(Source& source, const Field& field);
void append_text(Source& source, const Field& field, std::string& to);
// Walks all of a message, into every known message inside, and raises bad_input where something is wrong.
void validate(Source& source, Range range, Message message, int depth = 0);
// Appends a whole field, after validate() of what it holds.
void keep(Source& source, const Field& field, std::string& rest);
// Calls f(value) for each number of a repeated field, packed or not.
template <typename F>
void for_each_varint(Source& source, const Field& field, F&& f) {
  if (field.type == Type::varint) return f(field.number_value);
  for (std::uint64_t at = field.payload.begin; at < field.payload.end;) f(source.varint(at, field.payload.end));
}
void append_fixed32s(Source& source, const Field& field, std::vector<float>& to);

// Writing.
std::size_t varint_size(std::uint64_t value);
void put_varint(std::string& out, std::uint64_t value);
void put_tag(std::string& out, std::uint32_t number, Type type);
void put_number(std::string& out, std::uint32_t number, std::uint64_t value);    // a varint field
void put_bytes(std::string& out, std::uint32_t number, std::string_view bytes);  // a string, bytes or message field

}  // namespace hone::onnx::wire
