// DFT STFT MelWeightMatrix HannWindow HammingWindow BlackmanWindow, and Det.
//
// Transforms are computed in double: by halves where the length is a power of two, otherwise by Bluestein's convolution
// with a chirp.
#include <cmath>
#include <complex>
#include <numbers>

#include "exec/reference/elements.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

using Complex = std::complex<double>;

// Plain products: std::complex's operator goes out of its way for infinities.
Complex times(Complex a, Complex b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}
Complex turn(double part) { return std::polar(1.0, -2 * std::numbers::pi * part); }

// A transform of one length; forward, without scaling.
class Fourier {
 public:
  explicit Fourier(std::int64_t length) : length_(static_cast<std::size_t>(length)) {
    size_ = 1;
    while (size_ < length_) size_ *= 2;
    if (size_ != length_) {
      while (size_ < 2 * length_ - 1) size_ *= 2;
      chirp_.resize(length_);
      for (std::size_t i = 0; i < length_; ++i) {
        // i * i / 2 of a turn of `length_`, taken modulo whole turns first to keep its bits.
        const auto square = static_cast<double>(static_cast<unsigned __int128>(i) * i % (2 * length_));
        chirp_[i] = turn(square / static_cast<double>(2 * length_));
      }
    }
    roots_.resize(size_ / 2);
    for (std::size_t i = 0; i < roots_.size(); ++i)
      roots_[i] = turn(static_cast<double>(i) / static_cast<double>(size_));
    if (!chirp_.empty()) {
      kernel_.assign(size_, {});
      for (std::size_t i = 0; i < length_; ++i) {
        kernel_[i] = std::conj(chirp_[i]);
        if (i > 0) kernel_[size_ - i] = std::conj(chirp_[i]);
      }
      halves(kernel_);
    }
  }

  void operator()(std::vector<Complex>& x) const {
    if (chirp_.empty()) return halves(x);
    std::vector<Complex> padded(size_);
    for (std::size_t i = 0; i < length_; ++i) padded[i] = times(x[i], chirp_[i]);
    halves(padded);
    for (std::size_t i = 0; i < size_; ++i) padded[i] = std::conj(times(padded[i], kernel_[i]));
    halves(padded);  // the inverse, by conjugating before and after
    const double scale = 1 / static_cast<double>(size_);
    for (std::size_t i = 0; i < length_; ++i) x[i] = times(std::conj(padded[i]) * scale, chirp_[i]);
  }

 private:
  void halves(std::vector<Complex>& x) const {
    const std::size_t n = x.size();
    for (std::size_t i = 1, j = 0; i < n; ++i) {  // bits of the index reversed
      std::size_t bit = n / 2;
      for (; j & bit; bit /= 2) j ^= bit;
      j ^= bit;
      if (i < j) std::swap(x[i], x[j]);
    }
    for (std::size_t width = 2; width <= n; width *= 2) {
      const std::size_t step = n / width;
      for (std::size_t start = 0; start < n; start += width) {
        for (std::size_t k = 0; k < width / 2; ++k) {
          const Complex even = x[start + k], odd = times(x[start + k + width / 2], roots_[k * step]);
          x[start + k] = even + odd;
          x[start + k + width / 2] = even - odd;
        }
      }
    }
  }

  std::size_t length_, size_ = 1;
  std::vector<Complex> roots_, chirp_, kernel_;
};

void require_length(std::int64_t length) {
  if (length < 1) bad_input("a transform of {} places", length);
  require_memory(static_cast<std::uint64_t>(size_product(length, 8 * 16)), "a Fourier transform");
}

void dft_along(Context& context, std::int64_t given_axis) {
  const Array& in = context.input(0);
  require_rank(in, 2, std::numeric_limits<std::size_t>::max(), "the input");
  const std::int64_t parts = in.dims.back();
  if (parts != 1 && parts != 2) bad_input("the last dimension of shape {} is not 1 or 2", ir::text(in.dims));
  const std::size_t axis = checked_axis(given_axis, in.rank());
  if (axis == in.rank() - 1) bad_input("the last axis holds the parts of complex numbers");
  const bool inverse = flag(context.node(), "inverse", false), onesided = flag(context.node(), "onesided", false);
  const std::int64_t dim = in.dims[axis];
  const std::int64_t length = context.has_input(1)  ? read_int(context.input(1))
                              : inverse && onesided ? 2 * (dim - 1)
                                                    : dim;
  const bool to_real = inverse && onesided;
  ir::Dims dims = in.dims;
  dims.back() = to_real ? 1 : 2;
  dims[axis] = onesided && !inverse ? length / 2 + 1 : length;
  require_length(length);
  const std::int64_t outer = product(in.dims, 0, axis), inner = product(in.dims, axis + 1, in.rank() - 1);
  in_real(context, in.type, [&]<typename T>() {
    const T* from = view<T>(context, in);
    Result<T> out(context, 0, in.type, dims);
    if (out.count() == 0) return;
    const Fourier transform(length);
    const std::int64_t taken = std::min(dim, to_real ? length / 2 + 1 : length), given = dims[axis],
                       out_parts = dims.back();
    parallel_for(outer * inner, grain_for(static_cast<double>(length) * 32), [&](std::int64_t begin, std::int64_t end) {
      std::vector<Complex> line(static_cast<std::size_t>(length));
      for (std::int64_t unit = begin; unit < end; ++unit) {
        const std::int64_t o = unit / inner, i = unit % inner;
        std::fill(line.begin(), line.end(), Complex());
        for (std::int64_t k = 0; k < taken; ++k) {
          const T* number = from + ((o * dim + k) * inner + i) * parts;
          line[static_cast<std::size_t>(k)] = {static_cast<double>(number[0]),
                                               parts == 2 ? static_cast<double>(number[1]) : 0};
        }
        if (to_real) {  // the other half is the conjugate of the first
          line[0] = line[0].real();
          if (length % 2 == 0)
            line[static_cast<std::size_t>(length / 2)] = line[static_cast<std::size_t>(length / 2)].real();
          for (std::int64_t k = length / 2 + 1; k < length; ++k) {
            line[static_cast<std::size_t>(k)] = std::conj(line[static_cast<std::size_t>(length - k)]);
          }
        }
        if (inverse) {
          for (Complex& x : line) x = std::conj(x);
        }
        transform(line);
        const double scale = inverse ? 1 / static_cast<double>(length) : 1;
        for (std::int64_t k = 0; k < given; ++k) {
          const Complex x = line[static_cast<std::size_t>(k)] * scale;
          T* number = out.data() + ((o * given + k) * inner + i) * out_parts;
          number[0] = static_cast<T>(x.real());
          if (out_parts == 2) number[1] = static_cast<T>(inverse ? -x.imag() : x.imag());
        }
      }
    });
    out.finish();
  });
}
void dft_17(Context& context) { dft_along(context, context.node().int_or("axis", 1)); }
void dft(Context& context) { dft_along(context, context.has_input(2) ? read_int(context.input(2)) : -2); }

void stft(Context& context) {
  const Array& in = context.input(0);
  if (in.rank() != 2 && in.rank() != 3) bad_input("a signal of shape {}", ir::text(in.dims));
  const std::int64_t batch = in.dims[0], signal = in.dims[1], parts = in.rank() == 3 ? in.dims[2] : 1;
  if (parts != 1 && parts != 2) bad_input("a signal of shape {}", ir::text(in.dims));
  const std::int64_t step = read_int(context.input(1));
  const Array* window = context.has_input(2) ? &context.input(2) : nullptr;
  if (window) require_rank(*window, 1, 1, "the window");
  const std::int64_t length = context.has_input(3) ? read_int(context.input(3)) : window ? window->count() : signal;
  require_length(length);
  if (step < 1) bad_input("a step of {}", step);
  if (window && window->count() > length) bad_input("a window of {} for frames of {}", window->count(), length);
  if (length > signal) bad_input("frames of {} for a signal of {}", length, signal);
  const bool onesided = flag(context.node(), "onesided", true);
  if (onesided && parts == 2) bad_input("a complex signal has no one-sided spectrum");
  const std::int64_t frames = (signal - length) / step + 1, bins = onesided ? length / 2 + 1 : length;
  const std::int64_t weighted = window ? window->count() : length;
  in_real(context, in.type, [&]<typename T>() {
    const T* from = view<T>(context, in);
    const T* weights = window ? view<T>(context, *window) : nullptr;
    Result<T> out(context, 0, in.type, ir::Dims{batch, frames, bins, 2});
    const Fourier transform(length);
    parallel_for(
        batch * frames, grain_for(static_cast<double>(length) * 32), [&](std::int64_t begin, std::int64_t end) {
          std::vector<Complex> line(static_cast<std::size_t>(length));
          for (std::int64_t unit = begin; unit < end; ++unit) {
            const T* frame = from + (unit / frames * signal + unit % frames * step) * parts;
            std::fill(line.begin(), line.end(), Complex());
            for (std::int64_t k = 0; k < weighted; ++k) {
              const double weight = weights ? static_cast<double>(weights[k]) : 1;
              line[static_cast<std::size_t>(k)] = {weight * static_cast<double>(frame[k * parts]),
                                                   parts == 2 ? weight * static_cast<double>(frame[k * 2 + 1]) : 0};
            }
            transform(line);
            for (std::int64_t k = 0; k < bins; ++k) {
              out.data()[(unit * bins + k) * 2] = static_cast<T>(line[static_cast<std::size_t>(k)].real());
              out.data()[(unit * bins + k) * 2 + 1] = static_cast<T>(line[static_cast<std::size_t>(k)].imag());
            }
          }
        });
    out.finish();
  });
}

// A tensor of any number type from doubles.
template <typename F>
void fill_with(Context& context, ir::ElementType type, const ir::Dims& dims, const F& f) {
  if (ir::is_float(type)) {
    return in_real(context, type, [&]<typename T>() {
      Result<T> out(context, 0, type, dims);
      for (std::int64_t i = 0; i < out.count(); ++i) out.data()[i] = static_cast<T>(f(i));
      out.finish();
    });
  }
  in_number(context, type, [&]<typename T>() {
    Array& out = context.output(0, type, dims);
    const std::int64_t count = out.count();
    for (std::int64_t i = 0; i < count; ++i) {
      const double x = f(i);
      out.as<T>()[i] = x > -9e18 && x < 9e18 ? static_cast<T>(static_cast<std::int64_t>(x)) : T{0};
    }
  });
}

void mel_weight_matrix(Context& context) {
  const std::int64_t bins = read_int(context.input(0)), length = read_int(context.input(1)),
                     rate = read_int(context.input(2));
  const double low = read_double(context.input(3)), high = read_double(context.input(4));
  if (bins < 1 || length < 1 || rate < 1) bad_input("{} bins of a transform of {} at {} Hz", bins, length, rate);
  const std::int64_t rows = length / 2 + 1;
  const ir::ElementType type = type_attribute(context.node(), "output_datatype", ir::ElementType::float32);
  require_memory(static_cast<std::uint64_t>(size_product(size_product(rows, bins), 8)), "a matrix of weights");
  const auto mel = [](double hertz) { return 2595 * std::log1p(hertz / 700) / std::log(10.0); };
  const double first = mel(low), step = (mel(high) - first) / static_cast<double>(bins + 2);
  std::vector<std::int64_t> edges;
  for (std::int64_t i = 0; i < bins + 2; ++i) {
    const double hertz = 700 * std::expm1((static_cast<double>(i) * step + first) / 2595 * std::log(10.0));
    const double bin = std::floor(static_cast<double>(length + 1) * hertz / static_cast<double>(rate));
    if (!(bin >= 0 && bin < static_cast<double>(rows)))
      bad_input("the edges {} and {} Hz lie outside of the spectrum", low, high);
    edges.push_back(static_cast<std::int64_t>(bin));
  }
  std::vector<double> weights(static_cast<std::size_t>(rows * bins));
  for (std::int64_t i = 0; i < bins; ++i) {
    const std::int64_t left = edges[static_cast<std::size_t>(i)], center = edges[static_cast<std::size_t>(i + 1)],
                       right = edges[static_cast<std::size_t>(i + 2)];
    const auto at = [&](std::int64_t row) -> double& { return weights[static_cast<std::size_t>(row * bins + i)]; };
    if (center == left) at(center) = 1;
    for (std::int64_t k = left; center > left && k <= center; ++k)
      at(k) = static_cast<double>(k - left) / static_cast<double>(center - left);
    for (std::int64_t k = center; k < right; ++k)
      at(k) = static_cast<double>(right - k) / static_cast<double>(right - center);
  }
  fill_with(context, type, {rows, bins}, [&](std::int64_t i) { return weights[static_cast<std::size_t>(i)]; });
}

template <typename F>
void window_of(Context& context, const F& f) {
  const std::int64_t size = read_int(context.input(0));
  if (size < 0) bad_input("a size of {}", size);
  const double last = static_cast<double>(flag(context.node(), "periodic", true) ? size : size - 1);
  fill_with(context, type_attribute(context.node(), "output_datatype", ir::ElementType::float32), {size},
            [&](std::int64_t i) { return f(static_cast<double>(i) * 2 * std::numbers::pi / last); });
}
void hann(Context& context) {
  window_of(context, [](double x) { return 0.5 - 0.5 * std::cos(x); });
}
void hamming(Context& context) {
  window_of(context, [](double x) { return 25.0 / 46.0 - 21.0 / 46.0 * std::cos(x); });
}
void blackman(Context& context) {
  window_of(context, [](double x) { return 0.42 - 0.5 * std::cos(x) + 0.08 * std::cos(2 * x); });
}

// By elimination with the largest pivot.
void det(Context& context) {
  const Array& in = context.input(0);
  require_rank(in, 2, std::numeric_limits<std::size_t>::max(), "the input");
  const std::int64_t n = in.dims.back();
  if (in.dims[in.rank() - 2] != n) bad_input("matrices of shape {} are not square", ir::text(in.dims));
  const ir::Dims dims(in.dims.begin(), in.dims.end() - 2);
  in_real(context, in.type, [&]<typename T>() {
    const T* from = view<T>(context, in);
    Result<T> out(context, 0, in.type, dims);
    std::vector<double> m(static_cast<std::size_t>(out.count() == 0 ? 0 : n * n));
    for (std::int64_t i = 0; i < out.count(); ++i) {
      std::copy_n(from + i * n * n, n * n, m.begin());
      const auto at = [&](std::int64_t r, std::int64_t c) -> double& { return m[static_cast<std::size_t>(r * n + c)]; };
      double result = 1;
      for (std::int64_t k = 0; k < n; ++k) {
        std::int64_t pivot = k;
        for (std::int64_t r = k + 1; r < n; ++r) {
          if (std::abs(at(r, k)) > std::abs(at(pivot, k))) pivot = r;
        }
        if (pivot != k) {
          for (std::int64_t c = 0; c < n; ++c) std::swap(at(k, c), at(pivot, c));
          result = -result;
        }
        result *= at(k, k);
        if (at(k, k) == 0) break;
        for (std::int64_t r = k + 1; r < n; ++r) {
          const double factor = at(r, k) / at(k, k);
          for (std::int64_t c = k + 1; c < n; ++c) at(r, c) -= factor * at(k, c);
        }
      }
      out.data()[i] = static_cast<T>(result);
    }
    out.finish();
  });
}

}  // namespace

std::span<const KernelEntry> signal_kernels() {
  static constexpr KernelEntry entries[] = {
      {"DFT", 17, stateless<dft_17>, 19},
      {"DFT", 20, stateless<dft>},
      {"STFT", 17, stateless<stft>},
      {"MelWeightMatrix", 17, stateless<mel_weight_matrix>},
      {"HannWindow", 17, stateless<hann>},
      {"HammingWindow", 17, stateless<hamming>},
      {"BlackmanWindow", 17, stateless<blackman>},
      {"Det", 11, stateless<det>},
  };
  return entries;
}

}  // namespace hone::exec
