// oneDNN, as the kernels here use it: one engine, memory in Arrays, primitives that are made once for each set of shapes.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hone/exec/kernel.h"
#include "hone/support/buffer.h"

namespace hone::exec::onednn {

dnnl::engine& engine();
dnnl::stream& stream();  // of this thread

using Desc = dnnl::memory::desc;

class BlockedLayout final : public Layout {
 public:
  explicit BlockedLayout(Desc desc) : desc_(std::move(desc)) {}
  std::uint64_t byte_size() const override { return desc_.get_size(); }
  void unpack(const std::byte* from, std::byte* row_major) const override;
  const Desc& desc() const { return desc_; }

 private:
  Desc desc_;
};

// The one object for a layout: equal layouts have equal addresses.
std::shared_ptr<const BlockedLayout> blocked_layout(const Desc& desc);

// The strides of row-major memory. A scalar has one dimension of 1, since oneDNN knows none without.
Desc row_major(std::span<const std::int64_t> dims, dnnl::memory::data_type type = dnnl::memory::data_type::f32);
Desc any_layout(std::span<const std::int64_t> dims, dnnl::memory::data_type type = dnnl::memory::data_type::f32);
// How an Array lies in memory.
Desc desc_of(const Array& array);
bool is_row_major(const Desc& desc);
std::optional<dnnl::memory::data_type> data_type(ir::ElementType type);

// While it lives, oneDNN makes and runs primitives for one thread where the work is small: waking another takes some 50
// microseconds, and the end of each loop waits for it.
class Workers {
 public:
  static Workers for_operations(double count);  // multiplications and additions
  static Workers for_asking(double count);      // the same, of a Call that asks at every run: see allow_serial()
  static Workers for_bytes(double count);       // read and written
  explicit Workers(bool serial);
  ~Workers();
  Workers(const Workers&) = delete;
  bool serial() const { return serial_; }

 private:
  bool serial_;
};

// A primitive with its arguments: bind() memory, then run(). What was made under a serial Workers runs so.
class Call {
 public:
  Call() = default;
  explicit Call(const dnnl::primitive& primitive);
  explicit operator bool() const { return static_cast<bool>(primitive_); }
  // Of work of so many seconds on one thread: `make` makes the same for one thread, for when others come late
  // (support/waking.h), or nothing. Only where the result does not depend on threads.
  void allow_serial(double seconds, std::function<dnnl::primitive()> make);
  void bind(int argument, const Desc& desc, const void* data);
  void run();

 private:
  struct Argument {
    int number;
    dnnl::memory memory;
  };
  dnnl::primitive primitive_;
  bool serial_ = false;
  double seconds_ = 0;
  double fastest_ = std::numeric_limits<double>::max();  // of the runs on all threads, in seconds
  std::function<dnnl::primitive()> make_serial_;         // until it is asked
  dnnl::primitive for_one_;
  std::vector<Argument> arguments_;
  std::vector<dnnl_exec_arg_t> raw_;
};

// Copies memory from one layout to another.
class Reorder {
 public:
  Reorder() = default;
  // `plans_nothing`: without a primitive where there is code of our own (exec/onednn/eights.h), which is a little slower.
  Reorder(const Desc& from, const Desc& to, bool plans_nothing = false);
  explicit operator bool() const { return own_ || static_cast<bool>(call_); }
  void run(const void* from, void* to);

 private:
  Desc from_, to_;
  std::function<void(const float*, float*)> own_;  // in place of a primitive
  Call call_;
};
void reorder(const Desc& from, const void* source, const Desc& to, void* target);  // once
// Copies between layouts since the program started, for tests.
std::uint64_t reorder_count();

// The memory of `array` in the layout a primitive wants: itself, or a copy in scratch memory.
class Adapter {
 public:
  Adapter() = default;
  Adapter(const Desc& from, const Desc& to, bool plans_nothing = false);
  const void* get(Context& context, const void* data);

 private:
  Reorder reorder_;
  std::uint64_t size_ = 0;
};

// An output in the layout that a primitive gives.
struct Target {
  Desc desc;
  std::shared_ptr<const Layout> layout;  // null: row-major
  Target() = default;
  explicit Target(const Desc& d) : desc(d) {
    if (!is_row_major(d)) layout = blocked_layout(d);
  }
  Array& output(Context& context, std::size_t index, std::span<const std::int64_t> dims) const {
    return layout ? context.output_with_layout(index, ir::ElementType::float32, dims, layout)
                  : context.output(index, ir::ElementType::float32, dims);
  }
};

// Constant weights in the layouts that primitives asked for; few in practice.
class PackedWeights {
 public:
  // `fill` writes the weights in the layout `plain`.
  template <typename Fill>
  const void* get(const Desc& wanted, const Desc& plain, Fill&& fill) {
    for (const auto& [desc, buffer] : packed_) {
      if (desc == wanted) return buffer->data();
    }
    auto buffer = std::make_unique<Buffer>(wanted.get_size());
    if (wanted == plain) {
      fill(buffer->data());
    } else {
      Buffer source(plain.get_size());
      fill(source.data());
      reorder(plain, source.data(), wanted, buffer->data());
    }
    packed_.emplace_back(wanted, std::move(buffer));
    return packed_.back().second->data();
  }

 private:
  std::vector<std::pair<Desc, std::unique_ptr<Buffer>>> packed_;
};

// What a kernel made for each set of shapes and layouts it met, the last ones met.
template <typename Entry>
class ShapeCache {
 public:
  // Shapes that change with every call (sentences, lines of text) come back: making a primitive costs 0.1 ms or more, keeping
  // its code some 20 KB.
  static constexpr std::size_t capacity = 64;

  void begin_key() { size_ = 0; }
  void add(const Array& array) {
    push(array.layout ? static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(array.layout.get())) : 0);
    push(static_cast<std::int64_t>(array.dims.size()));
    for (const std::int64_t dim : array.dims) push(dim);
  }
  // The entry of this one array, made by `plan` if it is new.
  template <typename Plan>
  Entry& of(const Array& array, Plan&& plan);
  // The entry of the key, or null; then insert() one.
  Entry* find() {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i]->key == key_and_size()) {
        if (i > 0)
          std::rotate(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(i),
                      entries_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        return &entries_[0]->value;
      }
    }
    return nullptr;
  }
  // `keep`: layouts named in the key, which must not be freed and reused by another while the entry lives.
  Entry& insert(Entry entry, std::vector<std::shared_ptr<const Layout>> keep) {
    if (entries_.size() >= capacity) entries_.pop_back();
    entries_.insert(entries_.begin(), std::make_unique<Item>(Item{key_and_size(), std::move(entry), std::move(keep)}));
    return entries_[0]->value;
  }

 private:
  struct Item {
    std::vector<std::int64_t> key;
    Entry value;
    std::vector<std::shared_ptr<const Layout>> keep;
  };
  void push(std::int64_t value) {
    if (size_ < key_.size()) {
      key_[size_] = value;
    } else {
      key_.push_back(value);
    }
    ++size_;
  }
  const std::vector<std::int64_t>& key_and_size() {
    key_.resize(size_);
    return key_;
  }
  std::vector<std::int64_t> key_;
  std::size_t size_ = 0;
  std::vector<std::unique_ptr<Item>> entries_;
};

// What runs where oneDNN can't: the reference kernel, or the nodes that a fused one came from.
class Fallback {
 public:
  explicit Fallback(const KernelInfo& info) : info_(info) {}
  void run(Context& context);

 private:
  KernelInfo info_;
  std::unique_ptr<Kernel> kernel_;
};

// A kernel for a part of what its operator may be given: the fallback runs where compute() does nothing.
class PartialKernel : public Kernel {
 public:
  PartialKernel(const KernelInfo& info, std::string_view name) : fallback_(info), own_name_(name), name_(name) {}
  std::string name() const override { return std::string(name_); }
  void run(Context& context) override {
    const bool ran = compute(context);
    name_ = ran ? own_name_ : "reference";
    if (!ran) fallback_.run(context);
  }

 protected:
  virtual bool compute(Context& context) = 0;  // false: nothing is done

 private:
  Fallback fallback_;
  std::string_view own_name_, name_;
};

// Of the implementations of a convolution, the one to take. Where the CPU has no AVX-512, oneDNN lists batch-reduce kernels
// first, although its direct ones run the same shapes 1.1 to 5 times as fast (3.2, measured on AVX2 over the layers of
// ResNet-50, MobileNetV2 and others; below 8 output channels it is the other way round). `make` makes a descriptor.
template <typename Make>
auto choose(Make&& make, std::int64_t output_channels) {
  const auto starts = [](const auto& desc, std::string_view text) {
    return std::string_view(desc.impl_info_str()).starts_with(text);
  };
  auto first = make();
  const bool replaceable = starts(first, "br") && std::string_view(first.impl_info_str()).ends_with(":avx2");
  if (!replaceable || output_channels < 8) return first;
  auto next = make();
  while (starts(next, "br")) {
    if (!next.next_impl()) return first;
  }
  return starts(next, "jit") && std::string_view(next.impl_info_str()).ends_with(":avx2") ? next : first;
}

// Whether runs may differ in more than the batch: some input declares a size other than its first as unknown, as widths of
// images and lengths of sentences are. Then what would be planned again and again is left to kernels of our own, whatever the
// sizes turn out to be: results must not depend on what was met before.
bool sizes_may_change(const ir::Model& model);
// But for work of more seconds than this: there a primitive of oneDNN, a tenth faster, is worth the 0.2 ms that it takes to make,
// even if the shape never comes again.
inline constexpr double most_unplanned = 2e-3;

// A primitive in place of another: the same code, memory alike.
template <typename PrimitiveDesc>
bool is_alike(const PrimitiveDesc& a, const PrimitiveDesc& b) {
  return std::string_view(a.impl_info_str()) == b.impl_info_str() && a.src_desc() == b.src_desc() &&
         a.weights_desc() == b.weights_desc() && a.dst_desc() == b.dst_desc() &&
         b.scratchpad_desc().get_size() <= a.scratchpad_desc().get_size();
}

// The seconds that so many operations take on one thread, roughly.
inline double seconds_of(double operations) { return operations / 60e9; }

// "onednn:jit:avx512_core".
std::string kernel_name(const dnnl::primitive_desc_base& desc);

// Runs `body`; an error of oneDNN becomes a hone::Error.
template <typename Body>
decltype(auto) guarded(Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const dnnl::error& error) {
    fail(error.status == dnnl_out_of_memory ? ErrorKind::resource_limit : ErrorKind::internal, "oneDNN: {}",
         error.what());
  }
}

template <typename Entry>
template <typename Plan>
Entry& ShapeCache<Entry>::of(const Array& array, Plan&& plan) {
  begin_key();
  add(array);
  if (Entry* known = find()) return *known;
  return insert(guarded([&] { return plan(array); }), {array.layout});
}

}  // namespace hone::exec::onednn
