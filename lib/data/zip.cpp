// Zip archives over minizip, and a writer of stored members.
//
// minizip rather than libzip: it tells where a stored member's bytes lie, so that they can be read in place, and adds
// nothing to the start of the command (libzip pulls in a TLS library: 2 ms measured).
#include "hone/data/zip.h"

#include <minizip/unzip.h>

#include <algorithm>
#include <array>
#include <exception>
#include <limits>

#include "hone/support/error.h"

namespace hone::data {
namespace {

// A data set has tens of arrays; this only bounds what a hostile directory can make us hold.
constexpr std::size_t most_members = 1 << 20;

// minizip's view of a File. Exceptions may not pass through its C frames: they wait in `error`.
struct Source {
  std::shared_ptr<const File> file;
  std::uint64_t position = 0;
  std::exception_ptr error;
};

voidpf open_source(voidpf opaque, const void*, int) { return opaque; }

uLong read_source(voidpf opaque, voidpf, void* buffer, uLong size) {
  auto& source = *static_cast<Source*>(opaque);
  const std::uint64_t end = source.file->size();
  const auto count = std::min<std::uint64_t>(size, source.position < end ? end - source.position : 0);
  if (count == 0) return 0;  // minizip may have sought past the end
  try {
    source.file->read(source.position, {static_cast<std::byte*>(buffer), count});
  } catch (...) {
    source.error = std::current_exception();
    return 0;
  }
  source.position += count;
  return static_cast<uLong>(count);
}

uLong write_source(voidpf, voidpf, const void*, uLong) { return 0; }

ZPOS64_T tell_source(voidpf opaque, voidpf) { return static_cast<Source*>(opaque)->position; }

long seek_source(voidpf opaque, voidpf, ZPOS64_T offset, int origin) {
  auto& source = *static_cast<Source*>(opaque);
  std::uint64_t base = 0;
  if (origin == ZLIB_FILEFUNC_SEEK_CUR) base = source.position;
  if (origin == ZLIB_FILEFUNC_SEEK_END) base = source.file->size();
  std::uint64_t target = 0;
  if (__builtin_add_overflow(base, offset, &target)) return -1;
  source.position = target;
  return 0;
}

int close_source(voidpf, voidpf) { return 0; }
int error_of_source(voidpf opaque, voidpf) { return static_cast<Source*>(opaque)->error ? 1 : 0; }

// An open archive; not copyable, since minizip keeps a pointer to the source.
class Archive {
 public:
  explicit Archive(std::shared_ptr<const File> file) {
    source_.file = std::move(file);
    zlib_filefunc64_def functions{};
    functions.zopen64_file = open_source;
    functions.zread_file = read_source;
    functions.zwrite_file = write_source;
    functions.ztell64_file = tell_source;
    functions.zseek64_file = seek_source;
    functions.zclose_file = close_source;
    functions.zerror_file = error_of_source;
    functions.opaque = &source_;
    handle_ = unzOpen2_64("", &functions);
    if (!handle_) {
      rethrow();
      bad_input("not a zip archive, or its directory is cut off");
    }
  }
  ~Archive() { unzClose(handle_); }
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;

  unzFile handle() const { return handle_; }
  const Source& source() const { return source_; }

  // Raises what a read of the file raised.
  void rethrow() {
    if (source_.error) std::rethrow_exception(std::exchange(source_.error, nullptr));
  }
  void check(int status, const char* what) {
    if (status == UNZ_OK) return;
    rethrow();
    bad_input("the zip archive is damaged ({})", what);
  }
  // Opens the member for reading.
  void enter(const ZipMember& member) {
    unz64_file_pos position{member.directory_offset, member.index};
    check(unzGoToFilePos64(handle_, &position), "directory");
    check(unzOpenCurrentFile(handle_), "header of a member");
  }

 private:
  Source source_;
  unzFile handle_ = nullptr;
};

// Nothing but the end record, which minizip takes for none.
bool is_empty_archive(const File& file) {
  constexpr std::string_view end_record("PK\5\6\0\0\0\0\0\0\0\0", 12);
  std::array<char, end_record.size()> start{};
  if (file.size() < 22) return false;
  file.read(0, std::as_writable_bytes(std::span(start)));
  return std::string_view(start.data(), start.size()) == end_record;
}

class MemberReader final : public ByteReader {
 public:
  MemberReader(std::shared_ptr<const File> file, const ZipMember& member) : archive_(std::move(file)), member_(member) {
    check_inflation(member.compressed_size, member.size);
    archive_.enter(member_);
  }

  std::size_t read(std::span<std::byte> out) override {
    if (out.empty() || ended_) return 0;
    const auto wanted = static_cast<unsigned>(std::min<std::size_t>(out.size(), 1 << 30));
    const int count = unzReadCurrentFile(archive_.handle(), out.data(), wanted);
    archive_.rethrow();
    if (count < 0) bad_input("the compressed data are damaged");
    if (count == 0) {
      ended_ = true;
      if (done_ != member_.size) bad_input("the compressed data are cut short");
      // Compares the checksum.
      if (unzCloseCurrentFile(archive_.handle()) != UNZ_OK) bad_input("the data don't match their checksum");
    }
    done_ += static_cast<std::uint64_t>(count);
    return static_cast<std::size_t>(count);
  }

 private:
  Archive archive_;
  ZipMember member_;
  std::uint64_t done_ = 0;
  bool ended_ = false;
};

constexpr std::uint64_t limit32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t limit16 = std::numeric_limits<std::uint16_t>::max();
constexpr std::uint16_t first_date = 0x21;  // 1 January 1980, the earliest there is
constexpr std::uint16_t utf8_names = 1 << 11;

class Record {
 public:
  Record& u16(std::uint64_t value) { return put(value, 2); }
  Record& u32(std::uint64_t value) { return put(value, 4); }
  Record& u64(std::uint64_t value) { return put(value, 8); }
  Record& text(std::string_view value) {
    bytes_ += value;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  Record& put(std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) bytes_ += static_cast<char>(value >> (8 * i) & 0xff);
    return *this;
  }
  std::string bytes_;
};

}  // namespace

ZipReader::ZipReader(std::shared_ptr<const File> file) : file_(std::move(file)) {
  if (is_empty_archive(*file_)) return;
  Archive archive(file_);
  int status = unzGoToFirstFile(archive.handle());
  if (status == UNZ_END_OF_LIST_OF_FILE) return;
  std::vector<char> name(limit16 + 1);
  for (; status == UNZ_OK; status = unzGoToNextFile(archive.handle())) {
    unz_file_info64 info{};
    archive.check(unzGetCurrentFileInfo64(archive.handle(), &info, name.data(), name.size(), nullptr, 0, nullptr, 0),
                  "directory");
    unz64_file_pos position{};
    archive.check(unzGetFilePos64(archive.handle(), &position), "directory");
    ZipMember member;
    member.name.assign(name.data(), std::min<std::size_t>(info.size_filename, limit16));
    if (info.flag & 1) unsupported("member {} of the archive is encrypted", quote(member.name));
    if (info.compression_method != 0 && info.compression_method != Z_DEFLATED) {
      unsupported("member {} of the archive: compression method {}, only stored and deflated are read",
                  quote(member.name), info.compression_method);
    }
    member.size = info.uncompressed_size;
    member.compressed_size = info.compressed_size;
    member.stored = info.compression_method == 0;
    member.directory_offset = position.pos_in_zip_directory;
    member.index = position.num_of_file;
    if (member.compressed_size > file_->size() || (member.stored && member.size != member.compressed_size)) {
      bad_input("member {} of the archive: sizes that the file can't hold", quote(member.name));
    }
    members_.push_back(std::move(member));
    if (members_.size() > most_members) bad_input("an archive of more than {} members", most_members);
  }
  if (status != UNZ_END_OF_LIST_OF_FILE) archive.check(status, "directory");
}

const ZipMember* ZipReader::find(std::string_view name) const {
  const auto found = std::find_if(members_.begin(), members_.end(), [&](const auto& m) { return m.name == name; });
  return found == members_.end() ? nullptr : &*found;
}

std::unique_ptr<ByteReader> ZipReader::open(const ZipMember& member) const {
  return std::make_unique<MemberReader>(file_, member);
}

std::optional<FileSlice> ZipReader::slice(const ZipMember& member) const {
  if (!member.stored) return std::nullopt;
  Archive archive(file_);
  archive.enter(member);
  const std::uint64_t offset = unzGetCurrentFileZStreamPos64(archive.handle());
  unzCloseCurrentFile(archive.handle());
  if (offset > file_->size() || member.size > file_->size() - offset) bad_input("the archive is cut short");
  return FileSlice{file_, offset, member.size};
}

struct ZipWriter::Entry {
  std::string name;
  std::uint64_t size, offset;
  std::uint32_t crc;
};

ZipWriter::ZipWriter(Output& output) : output_(output), start_(output.written()) {}
ZipWriter::~ZipWriter() = default;

void ZipWriter::begin(std::string_view name, std::uint64_t size, std::uint32_t crc) {
  if (name.size() > limit16) bad_input("a name of {} bytes is too long for an archive", name.size());
  const std::uint64_t offset = output_.written() - start_;
  const bool large = size >= limit32;
  Record record;
  record.u32(0x04034b50).u16(large ? 45 : 20).u16(utf8_names).u16(0).u16(0).u16(first_date).u32(crc);
  record.u32(large ? limit32 : size).u32(large ? limit32 : size).u16(name.size()).u16(large ? 20 : 0).text(name);
  if (large) record.u16(1).u16(16).u64(size).u64(size);
  output_.write(std::string_view(record.bytes()));
  entries_.push_back({std::string(name), size, offset, crc});
}

void ZipWriter::finish() {
  const std::uint64_t directory = output_.written() - start_;
  for (const Entry& entry : entries_) {
    Record extra;
    if (entry.size >= limit32) extra.u64(entry.size).u64(entry.size);
    if (entry.offset >= limit32) extra.u64(entry.offset);
    const std::size_t extra_size = extra.bytes().empty() ? 0 : extra.bytes().size() + 4;
    const std::uint64_t size = std::min(entry.size, limit32);
    const int version = extra_size ? 45 : 20;
    Record record;
    record.u32(0x02014b50).u16(version).u16(version).u16(utf8_names).u16(0).u16(0).u16(first_date).u32(entry.crc);
    record.u32(size).u32(size).u16(entry.name.size()).u16(extra_size).u16(0).u16(0).u16(0).u32(0);
    record.u32(std::min(entry.offset, limit32)).text(entry.name);
    if (extra_size) record.u16(1).u16(extra.bytes().size()).text(extra.bytes());
    output_.write(std::string_view(record.bytes()));
  }
  const std::uint64_t end = output_.written() - start_;
  Record record;
  if (directory >= limit32 || end - directory >= limit32 || entries_.size() >= limit16) {
    record.u32(0x06064b50).u64(44).u16(45).u16(45).u32(0).u32(0).u64(entries_.size()).u64(entries_.size());
    record.u64(end - directory).u64(directory);
    record.u32(0x07064b50).u32(0).u64(end).u32(1);
  }
  const std::uint64_t count = std::min<std::uint64_t>(entries_.size(), limit16);
  record.u32(0x06054b50).u16(0).u16(0).u16(count).u16(count);
  record.u32(std::min(end - directory, limit32)).u32(std::min(directory, limit32)).u16(0);
  output_.write(std::string_view(record.bytes()));
}

}  // namespace hone::data
