// Sequential readers of files and gzip streams.
#include "hone/data/bytes.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <vector>

#include "hone/support/error.h"

namespace hone::data {
namespace {

constexpr std::size_t window_size = 1 << 18;  // a read costs far more than its system call

class FileReader final : public ByteReader {
 public:
  explicit FileReader(std::shared_ptr<const File> file) : file_(std::move(file)) {}

  std::size_t read(std::span<std::byte> out) override {
    const std::size_t count = std::min<std::uint64_t>(out.size(), file_->size() - offset_);
    file_->read(offset_, out.first(count));
    offset_ += count;
    return count;
  }

 private:
  std::shared_ptr<const File> file_;
  std::uint64_t offset_ = 0;
};

class GzipReader final : public ByteReader {
 public:
  explicit GzipReader(std::shared_ptr<const File> file) : file_(std::move(file)), window_(window_size) {
    constexpr int gzip_only = 16 + MAX_WBITS;
    if (inflateInit2(&stream_, gzip_only) != Z_OK) throw std::bad_alloc();
  }
  ~GzipReader() override { inflateEnd(&stream_); }

  std::size_t read(std::span<std::byte> out) override {
    if (out.empty() || ended_) return 0;
    const auto wanted = static_cast<uInt>(std::min<std::size_t>(out.size(), 1 << 30));
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = wanted;
    while (stream_.avail_out == wanted) {
      if (stream_.avail_in == 0 && !refill()) {
        if (!between_members_) bad_input("the gzip data are cut short");
        ended_ = true;
        return 0;
      }
      between_members_ = false;
      const int status = inflate(&stream_, Z_NO_FLUSH);
      if (status == Z_STREAM_END) {  // another member may follow
        inflateReset(&stream_);
        between_members_ = true;
      } else if (status == Z_MEM_ERROR) {
        throw std::bad_alloc();
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        bad_input("the gzip data are damaged ({})", stream_.msg ? stream_.msg : "checksum");
      }
    }
    const std::size_t count = wanted - stream_.avail_out;
    inflated_ += count;
    check_inflation(offset_ - stream_.avail_in, inflated_);
    return count;
  }

 private:
  bool refill() {
    const std::size_t count = std::min<std::uint64_t>(window_.size(), file_->size() - offset_);
    file_->read(offset_, std::span(window_).first(count));
    offset_ += count;
    stream_.next_in = reinterpret_cast<Bytef*>(window_.data());
    stream_.avail_in = static_cast<uInt>(count);
    return count > 0;
  }

  std::shared_ptr<const File> file_;
  std::vector<std::byte> window_;
  z_stream stream_{};
  std::uint64_t offset_ = 0, inflated_ = 0;
  bool between_members_ = false, ended_ = false;
};

}  // namespace

void read_exactly(ByteReader& reader, std::span<std::byte> out, const char* what) {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::size_t count = reader.read(out.subspan(done));
    if (count == 0) bad_input("{} ends after {} of {} bytes", what, done, out.size());
    done += count;
  }
}

void expect_end(ByteReader& reader, const char* what) {
  std::byte extra;
  if (reader.read({&extra, 1}) != 0) bad_input("there is more data after {}", what);
}

std::unique_ptr<ByteReader> read_in_order(std::shared_ptr<const File> file) {
  return std::make_unique<FileReader>(std::move(file));
}

bool is_gzip(const File& file) {
  std::array<std::byte, 2> magic{};
  if (file.size() < magic.size()) return false;
  file.read(0, magic);
  return magic[0] == std::byte{0x1f} && magic[1] == std::byte{0x8b};
}

std::unique_ptr<ByteReader> gunzip(std::shared_ptr<const File> file) {
  return std::make_unique<GzipReader>(std::move(file));
}

std::unique_ptr<ByteReader> open_bytes(std::shared_ptr<const File> file) {
  return is_gzip(*file) ? gunzip(std::move(file)) : read_in_order(std::move(file));
}

void check_inflation(std::uint64_t compressed, std::uint64_t inflated) {
  // Deflate reaches 1,032 to 1. One-hot matrices and empty images come to a few hundred, and are small; what is large
  // and shrinks more is made to harm, or can be stored uncompressed.
  constexpr std::uint64_t free_bytes = std::uint64_t{256} << 20, most_ratio = 250;
  if (inflated > free_bytes && inflated / most_ratio > compressed) {
    bad_input("{} bytes inflate to {} or more: refused as a decompression bomb (store it uncompressed)", compressed,
              inflated);
  }
}

}  // namespace hone::data
