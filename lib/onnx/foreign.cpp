// What a file is that is no ONNX model: the kinds that downloads, exporters and users put in its place.
#include "onnx/foreign.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <string_view>

#include "hone/support/text.h"

namespace hone::onnx {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::size_t offset;
  std::string_view bytes;
  const char* what;
};

constexpr Signature signatures[] = {
    {0, "version https://git-lfs.github.com/spec"sv, "a Git LFS pointer; fetch the file itself with `git lfs pull`"},
    {0, "\x1f\x8b"sv, "a gzip file; unpack it first"},
    {0, "\x28\xb5\x2f\xfd"sv, "a Zstandard file; unpack it first"},
    {0, "BZh"sv, "a bzip2 file; unpack it first"},
    {0,
     "\xfd"
     "7zXZ\0"sv,
     "an xz file; unpack it first"},
    {0, "7z\xbc\xaf\x27\x1c"sv, "a 7-Zip file; unpack it first"},
    {0, "Rar!"sv, "a RAR file; unpack it first"},
    {257, "ustar"sv, "a tar archive; unpack it first"},
    {0, "\x89HDF\r\n\x1a\n"sv, "an HDF5 file, as Keras writes with the ending .h5"},
    {4, "TFL3"sv, "a TFLite model"},
    {4, "ORTM"sv, "a model in ONNX Runtime's own format (.ort); take the ONNX file it was made from"},
    {0, "GGUF"sv, "a GGUF file"},
    {0, "\x93NUMPY"sv, "a NumPy array (.npy)"},
    {0,
     "\x7f"
     "ELF"sv,
     "a program or library (ELF)"},
    {0, "%PDF"sv, "a PDF file"},
    {0, "\x89PNG"sv, "a PNG image"},
    {0, "\xff\xd8\xff"sv, "a JPEG image"},
    {0, "SQLite format 3"sv, "an SQLite database"},
};

std::string head_of(const File& file, std::size_t most) {
  std::string head(std::min<std::uint64_t>(file.size(), most), '\0');
  file.read(0, std::as_writable_bytes(std::span(head.data(), head.size())));
  return head;
}

std::string describe_zip(const File& file) {
  // The names of the first entries stand near the beginning, those of all at the end.
  constexpr std::size_t window = 16 << 10;
  std::string names = head_of(file, window);
  if (file.size() > window) {
    std::string tail(std::min<std::uint64_t>(window, file.size() - window), '\0');
    file.read(file.size() - tail.size(), std::as_writable_bytes(std::span(tail.data(), tail.size())));
    names += tail;
  }
  const auto holds = [&](std::string_view name) { return names.find(name) != std::string::npos; };
  if (holds("data.pkl")) return "a PyTorch file (.pt); export it to ONNX with torch.onnx.export";
  if (holds("model.weights.h5")) return "a Keras model (.keras)";
  if (holds("saved_model.pb")) return "a zip archive with a TensorFlow SavedModel; unpack it first";
  if (holds(".npy")) return "a NumPy archive (.npz)";
  if (holds("coremldata.bin") || holds(".mlmodel")) return "a Core ML package";
  if (holds(".onnx")) return "a zip archive with an ONNX model in it; unpack it first";
  return "a zip archive; unpack it first";
}

bool is_safetensors(const File& file, std::string_view head) {
  if (head.size() < 9 || (head[8] != '{' && head[8] != ' ')) return false;
  std::uint64_t length = 0;
  std::memcpy(&length, head.data(), 8);
  return length >= 2 && length <= file.size() - 8;
}

// Without a byte order mark and blanks.
std::string_view beginning(std::string_view head) {
  if (head.starts_with("\xef\xbb\xbf")) head.remove_prefix(3);
  return trim(head);
}

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 32 || c == '\n' || c == '\r' || c == '\t';
  });
}

}  // namespace

std::string foreign_format(const File& file) {
  const std::string head = head_of(file, 1024);
  if (head.empty()) return "an empty file";
  for (const Signature& signature : signatures) {
    if (head.size() >= signature.offset + signature.bytes.size() &&
        std::string_view(head).substr(signature.offset, signature.bytes.size()) == signature.bytes) {
      return signature.what;
    }
  }
  if (head.starts_with("PK\x03\x04") || head.starts_with("PK\x05\x06")) return describe_zip(file);
  if (head.size() > 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5) {
    return "a Python pickle, such as old PyTorch files are; export the model to ONNX with torch.onnx.export";
  }
  if (is_safetensors(file, head)) return "a safetensors file, which holds weights without a graph";
  const std::string_view start = beginning(head);
  if (start.starts_with('<')) {
    const std::string lower = lowercase(start.substr(0, 256));
    if (lower.find("<!doctype html") != std::string::npos || lower.find("<html") != std::string::npos) {
      return "an HTML page, perhaps an error or login page saved in its place; download it again";
    }
    return "XML or HTML, perhaps an error message saved in its place; download it again";
  }
  if (printable(start)) {
    if (start.starts_with('{') || start.starts_with('[')) return "JSON text";
    // A file of ONNX can begin with bytes that print, but not for long.
    if (head.size() >= 32) return "a text file";
  }
  return "";
}

bool looks_like_onnx_text(const File& file) {
  const std::string head = head_of(file, 4096);
  std::string_view text = head;
  for (;;) {  // comments
    text = beginning(text);
    if (!text.starts_with('#')) break;
    const std::size_t end = text.find('\n');
    text = end == std::string_view::npos ? std::string_view() : text.substr(end);
  }
  if (!text.starts_with('<')) return false;
  text = trim(text.substr(1));
  return text.starts_with("ir_version") || text.starts_with("opset_import") || text.starts_with("producer_");
}

}  // namespace hone::onnx
