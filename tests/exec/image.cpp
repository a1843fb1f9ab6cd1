// ImageDecoder: orders of channels, what is no image, and headers that ask for more memory than there is. The formats
// themselves are cases of the conformance suite.
#include <catch2/catch.hpp>

#include "error_message.h"
#include "helpers.h"
#include "hone/support/buffer.h"

namespace hone::exec {
namespace {

using testing::dims;

ir::Datum decode(const std::string& bytes, const std::string& pixel_format = "RGB") {
  const ir::Model model = testing::model(
      "g (uint8[n] stream) => (uint8[h, w, c] image) { image = ImageDecoder "
      "<pixel_format = \"" +
          pixel_format + "\"> (stream) }",
      20);
  const std::vector<std::uint8_t> stream(bytes.begin(), bytes.end());
  return Session(model).run({{"stream", ir::Tensor::vector(stream)}})[0];
}

std::vector<std::int64_t> pixels(const ir::Datum& image) { return image.tensor()->to_ints(); }

// Two pixels: (250, 100, 10) and (1, 2, 3).
const std::string two_pixels = "P6\n2 1\n255\n\xFA\x64\x0A\x01\x02\x03";

// A JPEG 2000 file, as far as its sizes: the header says 16 by 16, the codestream in it `size` by `size`.
std::string jpeg_2000(std::uint32_t size) {
  const auto number = [](std::uint32_t value, int bytes) {
    std::string text;
    for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i) & 255);
    return text;
  };
  const auto box = [&](const std::string& type, const std::string& contents) {
    return number(static_cast<std::uint32_t>(contents.size()) + 8, 4) + type + contents;
  };
  const std::string sizes = number(0, 2) + number(size, 4) + number(size, 4) + number(0, 4) + number(0, 4) +
                            number(size, 4) + number(size, 4) + number(0, 4) + number(0, 4) + number(3, 2) + "\7\1\1" +
                            "\7\1\1" + "\7\1\1";
  const std::string header = number(16, 4) + number(16, 4) + number(3, 2) + std::string("\7\7\0\0", 4);
  const std::string color = std::string("\1\0\0", 3) + number(16, 4);
  return box("jP  ", "\x0D\x0A\x87\x0A") + box("ftyp", std::string("jp2 \0\0\0\0jp2 ", 12)) +
         box("jp2h", box("ihdr", header) + box("colr", color)) +
         box("jp2c", "\xFF\x4F\xFF\x51" + number(static_cast<std::uint32_t>(sizes.size()) + 2, 2) + sizes);
}

}  // namespace

TEST_CASE("image: orders of channels") {
  const ir::Datum rgb = decode(two_pixels);
  CHECK(dims(rgb) == ir::Dims{1, 2, 3});
  CHECK(pixels(rgb) == std::vector<std::int64_t>{250, 100, 10, 1, 2, 3});
  CHECK(pixels(decode(two_pixels, "BGR")) == std::vector<std::int64_t>{10, 100, 250, 3, 2, 1});
  const ir::Datum gray = decode(two_pixels, "Grayscale");
  CHECK(dims(gray) == ir::Dims{1, 2, 1});
  CHECK(pixels(gray) == std::vector<std::int64_t>{135, 2});  // 0.299, 0.587 and 0.114
}

TEST_CASE("image: gray levels and bits become colors") {
  CHECK(pixels(decode("P5\n2 1\n255\n\x10\xF0")) == std::vector<std::int64_t>{16, 16, 16, 240, 240, 240});
  CHECK(pixels(decode("P1\n2 1\n1 0\n    ", "Grayscale")) == std::vector<std::int64_t>{0, 255});
}

TEST_CASE("image: what can't be decoded is empty") {
  for (const std::string& bytes :
       {std::string(), std::string("P6"), std::string(64, 'x'), two_pixels.substr(0, 12),
        std::string("\x89PNG\r\n\x1a\n and nothing more"), jpeg_2000(16),
        // a GIF, which is none of the standard's formats
        std::string("GIF89a\1\0\1\0\x80\0\0\0\0\0\xFF\xFF\xFF,\0\0\0\0\1\0\1\0\0\2\2D\1\0;", 35)}) {
    CAPTURE(bytes);
    CHECK(dims(decode(bytes)) == ir::Dims{0, 0, 3});
    CHECK(dims(decode(bytes, "Grayscale")) == ir::Dims{0, 0, 1});
  }
}

// Of a header that asks for too much Leptonica itself makes nothing, but not where the codestream does.
TEST_CASE("image: sizes are compared with the memory there is") {
  CHECK(dims(decode("P6\n60000 60000\n255\n" + std::string(64, '\0'))) == ir::Dims{0, 0, 3});
  set_memory_limit(memory_in_use() + (1 << 30));
  CHECK_THAT(hone::testing::error_message([] { decode(jpeg_2000(60000)); }, ErrorKind::resource_limit),
             Catch::Matchers::Contains("decoding an image"));
  set_memory_limit(0);
}

TEST_CASE("image: what is asked for wrongly") {
  CHECK_THAT(hone::testing::error_message([&] { decode(two_pixels, "CMYK"); }, ErrorKind::bad_input),
             Catch::Matchers::Contains("pixel_format is 'CMYK': RGB, BGR or Grayscale is expected"));
}

}  // namespace hone::exec
