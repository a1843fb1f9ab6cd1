// ImageDecoder: BMP, JPEG, JPEG 2000, PNG, PNM, TIFF (its first page) and WebP, decoded by Leptonica, which is loaded when
// a model with this operator is: no other command pays for it at its start.
//
// Transparency is dropped, samples of 16 bits keep their upper eight, orientation tags of JPEG are not followed. What can't
// be decoded gives an image of no rows and no columns, as the standard has it.
#include <dlfcn.h>
#include <leptonica/allheaders.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

#include "exec/reference/list.h"
#include "exec/reference/shape.h"
#include "hone/support/buffer.h"
#include "hone/support/checked.h"
#include "hone/support/error.h"

namespace hone::exec {
namespace {

class Leptonica {
 public:
  // Raises unsupported where the library is missing.
  static const Leptonica& load() {
    static const Leptonica library;
    return library;
  }

  decltype(&::findFileFormatBuffer) find_format = nullptr;
  decltype(&::pixReadHeaderMem) read_header = nullptr;
  decltype(&::pixReadMem) read = nullptr;
  decltype(&::pixConvertTo32) to_32_bits = nullptr;
  decltype(&::pixGetDimensions) dimensions = nullptr;
  decltype(&::pixGetWpl) words_per_line = nullptr;
  decltype(&::pixGetData) data = nullptr;
  decltype(&::pixDestroy) destroy = nullptr;

 private:
  Leptonica() {
    // Debian's name of the library, and the one of version 1.84 and later.
    for (const char* name : {"liblept.so.5", "libleptonica.so.6"}) {
      if (!handle_) handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
    if (!handle_) {
      unsupported(
          "ImageDecoder decodes with Leptonica, and there is no liblept.so.5 here: install liblept5 (Debian, Ubuntu)");
    }
    find(find_format, "findFileFormatBuffer");
    find(read_header, "pixReadHeaderMem");
    find(read, "pixReadMem");
    find(to_32_bits, "pixConvertTo32");
    find(dimensions, "pixGetDimensions");
    find(words_per_line, "pixGetWpl");
    find(data, "pixGetData");
    find(destroy, "pixDestroy");
    decltype(&::setMsgSeverity) set_severity = nullptr;
    find(set_severity, "setMsgSeverity");
    set_severity(L_SEVERITY_NONE);  // a broken image is a result here
  }

  template <typename Function>
  void find(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(handle_, name));
    if (!function) unsupported("ImageDecoder decodes with Leptonica, and the one here has no {}", name);
  }

  void* handle_ = nullptr;  // never closed: others may hold its functions until the process ends
};

bool is_listed(l_int32 format) {
  return L_FORMAT_IS_TIFF(format) || format == IFF_BMP || format == IFF_JFIF_JPEG || format == IFF_PNG ||
         format == IFF_PNM || format == IFF_JP2 || format == IFF_WEBP;
}

struct Size {
  std::uint64_t width = 0, height = 0;
};

// The codestream of JPEG 2000 has a size of its own (ISO/IEC 15444-1, A.5.1), by which memory is taken, whatever the
// header around it says. Nothing where there is no such marker.
Size size_of_codestream(std::span<const std::uint8_t> bytes) {
  constexpr std::uint8_t start[] = {0xFF, 0x4F, 0xFF, 0x51};
  const auto found = std::search(bytes.begin(), bytes.end(), std::begin(start), std::end(start));
  if (bytes.end() - found < 24) return {};
  const auto number = [&](std::ptrdiff_t at) {
    std::uint64_t value = 0;
    for (std::ptrdiff_t i = at; i < at + 4; ++i) value = value << 8 | found[i];
    return value;
  };
  return {number(8), number(12)};
}

class Picture {
 public:
  Picture(const Leptonica& library, PIX* pix) : library_(library), pix_(pix) {}
  ~Picture() { library_.destroy(&pix_); }
  Picture(const Picture&) = delete;
  Picture& operator=(const Picture&) = delete;
  PIX* get() const { return pix_; }

 private:
  const Leptonica& library_;
  PIX* pix_;
};

// Decoded, in 32 bits a pixel; null where that can't be done.
PIX* decode(const Leptonica& library, std::span<const std::uint8_t> bytes) {
  l_int32 format = IFF_UNKNOWN, width = 0, height = 0, bits = 0, samples = 0, has_colormap = 0;
  // Twelve bytes tell the format.
  if (bytes.size() < 12 || library.find_format(bytes.data(), &format) != 0 || !is_listed(format)) return nullptr;
  // The header of a BMP is not read by itself; without compression it can't ask for more than what is there.
  if (format != IFF_BMP) {
    if (library.read_header(bytes.data(), bytes.size(), &format, &width, &height, &bits, &samples, &has_colormap) !=
            0 ||
        width <= 0 || height <= 0)
      return nullptr;
    Size size{static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(height)};
    if (format == IFF_JP2) {
      const Size inner = size_of_codestream(bytes);
      size = {std::max(size.width, inner.width), std::max(size.height, inner.height)};
    }
    // The decoder's own samples (32 bits each for JPEG 2000), and the pixels they become.
    constexpr std::uint64_t bytes_per_pixel = 24;
    const auto needed = checked_mul(size.width, size.height * bytes_per_pixel);  // of a height of 32 bits
    if (!needed) return nullptr;
    require_memory(*needed, "decoding an image");
  }
  const Picture decoded(library, library.read(bytes.data(), bytes.size()));
  return decoded.get() ? library.to_32_bits(decoded.get()) : nullptr;
}

void image_decoder(Context& context) {
  const Array& in = context.input(0);
  require_type(in, ir::ElementType::uint8, "the encoded stream");
  if (in.rank() != 1)
    bad_input("an encoded stream of shape {}: bytes in one dimension are expected", ir::text(in.dims));
  const std::string order = context.node().string_or("pixel_format", "RGB");
  const bool gray = order == "Grayscale";
  if (!gray && order != "RGB" && order != "BGR")
    bad_input("pixel_format is {}: RGB, BGR or Grayscale is expected", quote(order));
  const std::int64_t channels = gray ? 1 : 3;

  const Leptonica& library = Leptonica::load();
  const Picture picture(library, decode(library, in.span<std::uint8_t>()));
  l_int32 width = 0, height = 0, depth = 0;
  if (!picture.get() || library.dimensions(picture.get(), &width, &height, &depth) != 0) {
    context.output(0, ir::ElementType::uint8, {0, 0, channels});
    return;
  }
  Array& out = context.output(0, ir::ElementType::uint8, {height, width, channels});
  const l_uint32* row = library.data(picture.get());
  const l_int32 stride = library.words_per_line(picture.get());
  std::uint8_t* to = out.as<std::uint8_t>();
  for (l_int32 y = 0; y < height; ++y, row += stride) {
    for (l_int32 x = 0; x < width; ++x, to += channels) {
      const std::uint32_t red = row[x] >> L_RED_SHIFT & 255, green = row[x] >> L_GREEN_SHIFT & 255,
                          blue = row[x] >> L_BLUE_SHIFT & 255;
      if (gray) {
        // ITU-R BT.601: 0.299, 0.587 and 0.114 in 16 bits, whose sum is 1.
        to[0] = static_cast<std::uint8_t>((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16);
        continue;
      }
      to[0] = static_cast<std::uint8_t>(order == "RGB" ? red : blue);
      to[1] = static_cast<std::uint8_t>(green);
      to[2] = static_cast<std::uint8_t>(order == "RGB" ? blue : red);
    }
  }
}

std::unique_ptr<Kernel> make_image_decoder(const KernelInfo& info) {
  Leptonica::load();  // where it is missing, a session says so and not its first run
  return stateless<image_decoder>(info);
}

}  // namespace

std::span<const KernelEntry> image_kernels() {
  static constexpr KernelEntry entries[] = {{"ImageDecoder", 20, make_image_decoder}};
  return entries;
}

}  // namespace hone::exec
