// Cast CastLike BitCast: elements of one type as another.
//
// Where the target is an integer and a float does not fit, ONNX leaves the result open: here it is what x86's conversion
// gives (the least number of a 32- or 64-bit type; narrower types keep the low bits), on every CPU. Integers keep their
// low bits. Every float is rounded once. Text for floats is the shortest that reads back the same.
//
// Not handled: complex numbers, which only BitCast takes.
#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cmath>

#include "exec/reference/elements.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

using ir::ElementType;

struct Rounding {
  bool saturate = true;  // float8 types
  int e8m0 = 0;          // to_float8e8m0's round_mode
};

template <typename T, typename F>
T float_to_integer(F x) {
  // The bounds are powers of two, exact in any float type.
  constexpr F limit = static_cast<F>(9223372036854775808.0);
  if constexpr (std::is_same_v<T, std::uint64_t>) {
    if (x >= limit) return x < 2 * limit ? static_cast<std::uint64_t>(x) : std::uint64_t{0};
  }
  const bool fits = x >= -limit && x < limit;
  const std::int64_t wide = fits ? static_cast<std::int64_t>(x) : std::numeric_limits<std::int64_t>::min();
  if constexpr (std::is_same_v<T, std::int32_t>) {
    if (wide != static_cast<std::int32_t>(wide)) return std::numeric_limits<std::int32_t>::min();
  }
  return static_cast<T>(wide);
}

// A double as the float towards zero with its last bit set where that is inexact: rounding it again to less than 23 bits
// gives what rounding the double once would.
float to_odd_float(double x) {
  const auto nearest = static_cast<float>(x);
  if (!(std::abs(x) <= static_cast<double>(std::numeric_limits<float>::max())) || static_cast<double>(nearest) == x) {
    return nearest;
  }
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  if (std::abs(static_cast<double>(nearest)) > std::abs(x)) --bits;
  return std::bit_cast<float>(bits | 1u);
}

// Blocks of elements in one of four types that hold all others: float, double, int64, uint64.
constexpr std::int64_t block = 1024;

template <typename T>
void store_floats(const float* in, T* out, std::int64_t count, Rounding rounding) {
  for (std::int64_t i = 0; i < count; ++i) {
    if constexpr (std::is_same_v<T, float8e4m3fn>) out[i] = to_float8e4m3fn(in[i], rounding.saturate);
    if constexpr (std::is_same_v<T, float8e4m3fnuz>) out[i] = to_float8e4m3fnuz(in[i], rounding.saturate);
    if constexpr (std::is_same_v<T, float8e5m2>) out[i] = to_float8e5m2(in[i], rounding.saturate);
    if constexpr (std::is_same_v<T, float8e5m2fnuz>) out[i] = to_float8e5m2fnuz(in[i], rounding.saturate);
    if constexpr (std::is_same_v<T, float8e8m0>) out[i] = to_float8e8m0(in[i], rounding.saturate, rounding.e8m0);
  }
}

template <typename Source>
std::string to_text(Source x) {
  if constexpr (std::is_floating_point_v<Source>) {
    if (x != x) return "NaN";
    if (std::isinf(x)) return x > 0 ? "INF" : "-INF";
  }
  return fmt::format("{}", x);
}

// `out` is a part of the output; `codes` takes sub-byte elements instead.
template <typename Source>
void store(const Source* in, std::int64_t count, Array& out, std::uint8_t* codes, std::string* text,
           Rounding rounding) {
  constexpr bool from_float = std::is_floating_point_v<Source>;
  const auto integer = [](auto* to, Source x) {
    using T = std::remove_pointer_t<decltype(to)>;
    if constexpr (from_float) {
      return float_to_integer<T>(x);
    } else {
      return static_cast<T>(x);
    }
  };
  if (out.type == ElementType::string) {
    for (std::int64_t i = 0; i < count; ++i) text[i] = to_text(in[i]);
    return;
  }
  if (out.type == ElementType::boolean) {
    for (std::int64_t i = 0; i < count; ++i) out.as<bool>()[i] = in[i] != Source{0};
    return;
  }
  if (codes && ir::is_integer(out.type)) {
    for (std::int64_t i = 0; i < count; ++i)
      codes[i] = static_cast<std::uint8_t>(integer(static_cast<std::int32_t*>(nullptr), in[i]));
    return;
  }
  if (out.type == ElementType::float16 && std::is_same_v<Source, double>) {
    for (std::int64_t i = 0; i < count; ++i) out.as<float16>()[i] = to_float16(static_cast<double>(in[i]));
    return;
  }
  if (is_narrow_float(out.type)) {
    float narrowed[block];
    for (std::int64_t i = 0; i < count; ++i) {
      if constexpr (std::is_same_v<Source, float>) {
        narrowed[i] = in[i];
      } else {
        narrowed[i] = to_odd_float(static_cast<double>(in[i]));
      }
    }
    if (codes) {
      for (std::int64_t i = 0; i < count; ++i) codes[i] = to_float4e2m1(narrowed[i]);
    } else if (!dispatch<float8e4m3fn, float8e4m3fnuz, float8e5m2, float8e5m2fnuz, float8e8m0>(
                   out.type, [&]<typename T>() { store_floats(narrowed, out.as<T>(), count, rounding); })) {
      narrow(narrowed, out);
    }
    return;
  }
  const bool known = dispatch_number(out.type, [&]<typename T>() {
    T* to = out.as<T>();
    for (std::int64_t i = 0; i < count; ++i) {
      if constexpr (std::is_floating_point_v<T>) {
        to[i] = static_cast<T>(in[i]);
      } else {
        to[i] = integer(to, in[i]);
      }
    }
  });
  if (!known) unsupported("a cast to {}", ir::name(out.type));
}

template <typename T>
bool parse(std::string_view text, T& value) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if constexpr (std::is_floating_point_v<T>) {
    if (error == std::errc::result_out_of_range) {  // from_chars leaves the value; strtod gives 0 or infinity
      value = std::strtod(std::string(text).c_str(), nullptr);
      return end == text.data() + text.size();
    }
  }
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

[[noreturn]] void no_number(const std::string& text) { bad_input("{} is no number", quote(text)); }

template <typename F>  // store(values, count, begin)
void read_texts(const Array& in, ElementType to, std::int64_t begin, std::int64_t count, const F& store_block) {
  const std::string* texts = in.strings->data() + begin;
  if (ir::is_integer(to)) {
    std::int64_t values[block];
    for (std::int64_t i = 0; i < count; ++i) {
      const std::string_view text = trimmed(texts[i]);
      std::uint64_t large = 0;
      double real = 0;
      if (parse(text, values[i])) continue;
      if (to == ElementType::uint64 && parse(text, large)) {
        values[i] = static_cast<std::int64_t>(large);
      } else if (parse(text, real)) {
        values[i] = float_to_integer<std::int64_t>(real);
      } else {
        no_number(texts[i]);
      }
    }
    store_block(static_cast<const std::int64_t*>(values));
  } else {
    double values[block];
    for (std::int64_t i = 0; i < count; ++i) {
      if (!parse(trimmed(texts[i]), values[i])) no_number(texts[i]);
    }
    store_block(static_cast<const double*>(values));
  }
}

// What masks, indices and one-hot rows go through: no blocks between.
bool cast_directly(Context& context, const Array& in, ElementType to) {
  const auto convert_all = [&]<typename From, typename To>(From, To) {
    Array& out = context.output(0, to, in.dims);
    map_range(in.as<From>(), out.as<To>(), in.count(), cheap_grain, [](From x) { return static_cast<To>(x); });
    return true;
  };
  if (to == ElementType::float32) {
    if (in.type == ElementType::boolean) return convert_all(bool{}, float{});
    if (in.type == ElementType::uint8) return convert_all(std::uint8_t{}, float{});
    if (in.type == ElementType::int8) return convert_all(std::int8_t{}, float{});
    if (in.type == ElementType::int32) return convert_all(std::int32_t{}, float{});
    if (in.type == ElementType::int64) return convert_all(std::int64_t{}, float{});
  }
  if (to == ElementType::int64 && in.type == ElementType::int32) return convert_all(std::int32_t{}, std::int64_t{});
  if (to == ElementType::int32 && in.type == ElementType::int64) return convert_all(std::int64_t{}, std::int32_t{});
  return false;
}

void cast_to(Context& context, ElementType to, Rounding rounding) {
  const Array& in = context.input(0);
  if (!ir::is_known(to)) bad_input("a cast to element type {}", static_cast<int>(to));
  if (in.type == to) return context.forward(0, 0, in.dims);
  if (in.type == ElementType::complex64 || in.type == ElementType::complex128 || to == ElementType::complex64 ||
      to == ElementType::complex128) {
    unsupported("a cast from {} to {}", ir::name(in.type), ir::name(to));
  }
  if (cast_directly(context, in, to)) return;
  Array& out = context.output(0, to, in.dims);
  const std::int64_t count = in.count();
  std::uint8_t* codes = ir::is_sub_byte(to) ? scratch<std::uint8_t>(context, count) : nullptr;
  parallel_for(ceil_div(count, block), cheap_grain / block, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t b = first; b < last; ++b) {
      const std::int64_t begin = b * block, n = std::min(block, count - begin);
      Array piece;
      piece.type = to;
      if (codes || to == ElementType::string) {
        piece.dims = {n};
      } else {
        piece = part(out, begin, n);
      }
      std::uint8_t* code = codes ? codes + begin : nullptr;
      std::string* text = to == ElementType::string ? out.strings->data() + begin : nullptr;
      const auto put = [&](const auto* values) { store(values, n, piece, code, text, rounding); };
      if (in.type == ElementType::string) {
        read_texts(in, to, begin, n, put);
      } else if (in.type == ElementType::float32) {
        put(in.as<float>() + begin);
      } else if (in.type == ElementType::float64) {
        put(in.as<double>() + begin);
      } else if (in.type == ElementType::int64) {
        put(in.as<std::int64_t>() + begin);
      } else if (in.type == ElementType::uint64) {
        put(in.as<std::uint64_t>() + begin);
      } else if (ir::is_float(in.type) || ir::is_sub_byte(in.type)) {
        float values[block];
        convert(in, begin, n, values);
        put(static_cast<const float*>(values));
      } else {
        std::int64_t values[block];
        if (in.type == ElementType::boolean) {
          std::copy_n(in.as<bool>() + begin, n, values);
        } else {
          dispatch_number(in.type, [&]<typename T>() {
            const T* from = in.as<T>() + begin;
            for (std::int64_t i = 0; i < n; ++i) values[i] = static_cast<std::int64_t>(from[i]);
          });
        }
        put(static_cast<const std::int64_t*>(values));
      }
    }
  });
  if (codes) pack(codes, out);
}

Rounding rounding_of(const ir::Node& node) {
  Rounding rounding;
  rounding.saturate = flag(node, "saturate", true);
  const std::string mode = node.string_or("round_mode", "up");
  if (mode != "up" && mode != "down" && mode != "nearest") bad_input("round_mode is {}", quote(mode));
  rounding.e8m0 = mode == "up" ? 0 : mode == "down" ? 1 : 2;
  return rounding;
}

// Opset 1 gave the type by name.
void cast_1(Context& context) {
  const std::string name = required_string(context.node(), "to");
  std::string lower = name;
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  const auto type = ir::parse_element_type(lower);
  if (!type) bad_input("a cast to {}", quote(name));
  cast_to(context, *type, {});
}
void cast(Context& context) {
  required_int(context.node(), "to");
  cast_to(context, type_attribute(context.node(), "to", ElementType::undefined), rounding_of(context.node()));
}
void cast_like(Context& context) { cast_to(context, context.raw_input(1).type, rounding_of(context.node())); }

void bit_cast(Context& context) {
  const Array& in = context.input(0);
  required_int(context.node(), "to");
  const ElementType to = type_attribute(context.node(), "to", ElementType::undefined);
  if (ir::bit_width(to) == 0 || ir::bit_width(to) != ir::bit_width(in.type)) {
    bad_input("elements of {} can't be seen as {}: the sizes differ", ir::name(in.type), ir::name(to));
  }
  Array& out = context.output(0, to, in.dims);
  if (to == ElementType::boolean) {  // any byte but 0 is true
    map_range(in.as<std::uint8_t>(), out.as<bool>(), in.count(), cheap_grain, [](std::uint8_t x) { return x != 0; });
  } else if (const std::uint64_t size = in.byte_size(); size > 0) {
    std::copy_n(in.data, size, out.data);
  }
}

}  // namespace

std::span<const KernelEntry> cast_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Cast", 1, stateless<cast_1>, 5},
      {"Cast", 6, stateless<cast>},
      {"CastLike", 15, stateless<cast_like>},
      {"BitCast", 26, stateless<bit_cast>},
  };
  return entries;
}

}  // namespace hone::exec
