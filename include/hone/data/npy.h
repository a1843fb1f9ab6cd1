// NumPy's .npy and .npz.
//
// Read: versions 1 to 3, both byte orders, C and Fortran order; b, i, u, f2 to f8, c8, c16; U and S as strings. Members
// of an .npz stay in the file until they are read: stored ones in windows, compressed ones whole, at first use.
// Refused: pickled objects (they are programs), structured types, dates, long double, sizes that don't fit the header.
//
// Written: version 1, little endian, C order. What NumPy has no type for is widened without loss: bfloat16, float8 and
// float4 to f4, (u)int4 and (u)int2 to (u)i1. Strings become U, or S where they aren't valid UTF-8.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hone/data/zip.h"
#include "hone/ir/tensor.h"
#include "hone/support/file.h"
#include "hone/support/output.h"

namespace hone::data {

// Also .npy.gz. The tensor reads the file when it is asked for bytes.
ir::Tensor read_npy(std::shared_ptr<const File> file);
void write_npy(Output& output, const ir::Tensor& tensor);

class NpzReader {
 public:
  explicit NpzReader(std::shared_ptr<const File> file);
  static NpzReader open(const std::string& path);  // "-": standard input

  const std::vector<std::string>& names() const { return names_; }  // without ".npy", in the order of the file
  bool has(std::string_view name) const;
  // Raises bad_input if there is none, naming those there are.
  ir::Tensor read(std::string_view name) const;

 private:
  std::shared_ptr<const File> file_;
  ZipReader zip_;
  std::vector<std::string> names_;
  std::vector<std::size_t> members_;  // their places in the archive
};

// Streams arrays into an archive; the same arrays give the same bytes. Deferred tensors are computed twice, once for
// the checksum that comes before them.
class NpzWriter {
 public:
  explicit NpzWriter(Output& output) : output_(output), zip_(output) {}
  void add(std::string_view name, const ir::Tensor& tensor);
  void finish();  // commit() of the output is left to the caller

 private:
  Output& output_;
  ZipWriter zip_;
  std::vector<std::string> names_;
};

}  // namespace hone::data
