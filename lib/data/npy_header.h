// The header of an .npy file: a Python dictionary with the type, the order and the shape.
#pragma once

#include <cstdint>
#include <string>

#include "hone/data/bytes.h"
#include "hone/ir/tensor.h"

namespace hone::data {

struct NpyHeader {
  enum class Kind { number, bytes /* S */, unicode /* U */ };

  Kind kind = Kind::number;
  ir::ElementType type = ir::ElementType::undefined;
  std::uint64_t item_size = 0;  // bytes of one element
  bool big_endian = false;
  bool fortran_order = false;
  ir::Dims dims;
  std::uint64_t length = 0;     // bytes up to the first element
  std::uint64_t data_size = 0;  // bytes of all elements

  // The bytes are those of an ir::Tensor.
  bool plain() const { return kind == Kind::number && !big_endian && !fortran_order; }
};

// Raises bad_input or unsupported for what is not an array of `available` bytes in all, header included.
NpyHeader read_npy_header(ByteReader& reader, std::uint64_t available);
// As read_npy_header() for data whose size is known only at their end (gzip).
NpyHeader read_npy_header(ByteReader& reader);

// The elements that follow the header, up to the end.
ir::Tensor read_npy_elements(const NpyHeader& header, ByteReader& reader);

// Version 1, padded to 64 bytes. `descr` as NumPy has it ("<f4").
std::string npy_header(const std::string& descr, const ir::Dims& dims);

}  // namespace hone::data
