// A constant or run-time tensor: a type, dimensions, and bytes that may not be in memory.
//
// Copying is cheap (the bytes are shared and never change once shared). Bytes are packed as in TensorProto.raw_data,
// little endian; strings are kept apart. A file slice is unaligned and read on demand; a deferred tensor computes any
// range of its bytes on demand. Code that wants plain memory calls loaded().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hone/ir/element_type.h"
#include "hone/support/buffer.h"
#include "hone/support/error.h"
#include "hone/support/file.h"

namespace hone::ir {

using Dims = std::vector<std::int64_t>;

// Bytes computed when they are asked for. Implementations are immutable, and give the same bytes however the range is cut.
class DeferredBytes {
 public:
  virtual ~DeferredBytes() = default;
  // Fills `out` with the bytes from `offset` on, holding at most a window (some MiB) of its sources at a time.
  virtual void produce(std::uint64_t offset, std::span<std::byte> out) const = 0;
  // Operations for one output byte, roughly; the writer and the passes compare it with the cost of storing.
  virtual double cost_per_byte() const = 0;
};

// Where a tensor of the file that was read keeps its bytes, so that it can be written the same way.
enum class Encoding { raw, typed /* float_data, int32_data ... */, external };

// The external_data entries of a tensor that was or will be stored beside the model.
struct ExternalLocation {
  std::string location;
  std::vector<std::pair<std::string, std::string>> others;  // entries but location, offset and length; in order
  bool has_offset = true, has_length = true;
};

class Tensor {
 public:
  Tensor() = default;  // undefined type, no dimensions

  // Memory of the right size, contents undefined, for the caller to fill through mutable_bytes(). Raises resource_limit.
  static Tensor allocate(ElementType type, Dims dims);
  static Tensor zeros(ElementType type, Dims dims);
  static Tensor strings(Dims dims, std::vector<std::string> values);
  // Bytes of exactly the size that type and dims ask for; raises bad_input otherwise.
  static Tensor from_file(ElementType type, Dims dims, FileSlice slice);
  static Tensor from_buffer(ElementType type, Dims dims, SharedBuffer buffer, std::size_t offset = 0);
  static Tensor deferred(ElementType type, Dims dims, std::shared_ptr<const DeferredBytes> bytes);
  template <typename T>
  static Tensor of(Dims dims, const std::vector<T>& values);
  template <typename T>
  static Tensor scalar(T value);
  template <typename T>
  static Tensor vector(const std::vector<T>& values) {
    return of<T>({static_cast<std::int64_t>(values.size())}, values);
  }

  ElementType type() const { return type_; }
  const Dims& dims() const { return dims_; }
  std::size_t rank() const { return dims_.size(); }
  std::int64_t element_count() const;  // never overflows: checked when made
  std::uint64_t byte_size() const;     // packed; 0 for strings
  bool is_string() const { return type_ == ElementType::string; }
  bool is_loaded() const { return buffer_ != nullptr || is_string() || byte_size() == 0; }
  bool is_deferred() const { return deferred_ != nullptr; }
  const FileSlice* file_slice() const { return slice_.file ? &slice_ : nullptr; }
  const std::shared_ptr<const DeferredBytes>& deferred_bytes() const { return deferred_; }

  // Any range of the bytes, from wherever they are.
  void read(std::uint64_t offset, std::span<std::byte> out) const;
  // The same tensor with its bytes in memory (itself if they are). Booleans from files become 0 or 1, so that data<bool>()
  // is safe.
  Tensor loaded() const;
  // Same bytes under other dimensions of the same element count.
  Tensor reshaped(Dims dims) const;
  // A copy that shares nothing and may be changed.
  Tensor clone() const;

  // Only for loaded tensors.
  std::span<const std::byte> bytes() const;
  std::span<std::byte> mutable_bytes();  // the bytes must not be shared with another Tensor
  // Elements as T, which must match type() in size (any one-byte T for sub-byte types), at an aligned address; raises
  // internal otherwise.
  template <typename T>
  std::span<const T> data() const;
  template <typename T>
  std::span<T> mutable_data();
  const std::shared_ptr<const std::vector<std::string>>& string_values() const { return strings_; }
  const SharedBuffer& buffer() const { return buffer_; }

  // All elements, converted: any integer or boolean type to int64, any number type to double or float (real ones only).
  // Reads files in windows.
  std::vector<std::int64_t> to_ints() const;  // raises bad_input for other types, and for uint64 past int64
  std::vector<double> to_doubles() const;
  std::vector<float> to_floats() const;

  // How it was stored in the file it came from.
  Encoding encoding = Encoding::raw;
  std::shared_ptr<const ExternalLocation> external;
  // Serialized TensorProto fields the IR does not model (name of an attribute's tensor, doc_string, metadata, segment,
  // unknown fields), written back as they were. Null: none.
  std::shared_ptr<const std::string> rest;

 private:
  Tensor(ElementType type, Dims dims);  // checks them
  void check_view(std::size_t element_size, std::size_t alignment) const;

  ElementType type_ = ElementType::undefined;
  Dims dims_;
  SharedBuffer buffer_;
  std::size_t buffer_offset_ = 0;
  FileSlice slice_;
  std::shared_ptr<const DeferredBytes> deferred_;
  std::shared_ptr<const std::vector<std::string>> strings_;
};

// Same type, dimensions and bytes. Compares sizes, then sampled windows, then all; reads files in windows.
bool equal(const Tensor& a, const Tensor& b);
// Equal tensors have equal fingerprints; made from type, dims and a few sampled windows, never all bytes.
std::uint64_t fingerprint(const Tensor& tensor);

// The one value that all elements of a tensor with at least one element have; nullopt otherwise, and if T is not the
// tensor's type. Stops at the first that differs. Elements are compared by their bits (0.0 and -0.0 differ, NaNs with the
// same bits don't), booleans by truth. For all T with an element_type_of.
template <typename T>
std::optional<T> uniform(const Tensor& tensor);

template <typename T>
Tensor Tensor::of(Dims dims, const std::vector<T>& values) {
  static_assert(element_type_of<T> != ElementType::undefined);
  Tensor result = allocate(element_type_of<T>, std::move(dims));
  auto out = result.mutable_data<T>();
  if (out.size() != values.size()) bad_input("{} values for a tensor of {} elements", values.size(), out.size());
  for (std::size_t i = 0; i < values.size(); ++i) out[i] = values[i];
  return result;
}

template <typename T>
Tensor Tensor::scalar(T value) {
  Tensor result = allocate(element_type_of<T>, {});
  result.mutable_data<T>()[0] = value;
  return result;
}

template <typename T>
std::span<const T> Tensor::data() const {
  check_view(sizeof(T), alignof(T));
  const auto raw = bytes();
  return {reinterpret_cast<const T*>(raw.data()), raw.size() / sizeof(T)};
}

template <typename T>
std::span<T> Tensor::mutable_data() {
  check_view(sizeof(T), alignof(T));
  const auto raw = mutable_bytes();
  return {reinterpret_cast<T*>(raw.data()), raw.size() / sizeof(T)};
}

}  // namespace hone::ir
