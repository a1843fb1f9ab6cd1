// IDX, the format of MNIST: two zero bytes, a type, a rank, big-endian dimensions, and the elements, big endian, too.
#include <algorithm>
#include <array>

#include "data/readers.h"
#include "hone/data/bytes.h"
#include "hone/ir/dimension.h"
#include "hone/support/error.h"

namespace hone::data {
namespace {

using ir::ElementType;

ElementType idx_type(int code) {
  switch (code) {
    case 0x08:
      return ElementType::uint8;
    case 0x09:
      return ElementType::int8;
    case 0x0b:
      return ElementType::int16;
    case 0x0c:
      return ElementType::int32;
    case 0x0d:
      return ElementType::float32;
    case 0x0e:
      return ElementType::float64;
    default:
      bad_input("not an IDX file: type {:#x}", code);
  }
}

}  // namespace

ir::Tensor read_idx(const std::shared_ptr<const File>& file) {
  const auto reader = open_bytes(file);
  std::array<std::byte, 4> magic{};
  read_exactly(*reader, magic, "the IDX header");
  if (magic[0] != std::byte{0} || magic[1] != std::byte{0})
    bad_input("not an IDX file: it doesn't start with two zeros");
  const ElementType type = idx_type(std::to_integer<int>(magic[2]));
  ir::Dims dims;
  for (int d = 0; d < std::to_integer<int>(magic[3]); ++d) {
    std::array<std::byte, 4> bytes{};
    read_exactly(*reader, bytes, "the IDX header");
    std::uint32_t dim = 0;
    for (const std::byte byte : bytes) dim = dim << 8 | std::to_integer<std::uint32_t>(byte);
    dims.push_back(dim);
  }
  std::uint64_t size = ir::bit_width(type) / 8;
  bool overflow = false;
  for (const std::int64_t dim : dims) overflow |= __builtin_mul_overflow(size, static_cast<std::uint64_t>(dim), &size);
  // Deflate gives at most 1,032 bytes for one.
  const bool zipped = is_gzip(*file);
  const std::uint64_t header = 4 + 4 * dims.size();
  if (overflow || (zipped ? size / 1032 > file->size() : size != file->size() - header)) {
    bad_input("the IDX header claims shape {}, which doesn't fit a file of {} bytes", ir::text(dims), file->size());
  }
  if (!zipped && ir::bit_width(type) == 8) return ir::Tensor::from_file(type, dims, {file, header, size});
  ir::Tensor result = ir::Tensor::allocate(type, dims);
  const auto bytes = result.mutable_bytes();
  read_exactly(*reader, bytes, "the IDX file");
  expect_end(*reader, "the elements of the IDX file");
  const std::size_t width = ir::bit_width(type) / 8;
  for (std::size_t at = 0; width > 1 && at < bytes.size(); at += width) std::reverse(&bytes[at], &bytes[at] + width);
  return result;
}

}  // namespace hone::data
