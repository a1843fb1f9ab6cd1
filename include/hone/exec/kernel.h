// What a kernel is: code that computes one node.
//
// Kernels are made once for a node and run many times. They see run-time tensors as Arrays (plain memory), ask their
// Context for outputs, and know nothing of planning. Reference kernels live in lib/exec/reference, one file per family of
// operators; lib/exec/reference/list.cpp names every family. Optimized kernels (lib/exec/onednn) are asked first and may
// decline.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hone/ir/datum.h"
#include "hone/ir/model.h"

namespace hone::exec {

// How an Array's memory is laid out when it is not row-major: known to the backend that made it.
class Layout {
 public:
  virtual ~Layout() = default;
  virtual std::uint64_t byte_size() const = 0;
  // The elements, row-major, from memory in this layout.
  virtual void unpack(const std::byte* from, std::byte* row_major) const = 0;
};

// A run-time tensor: dense, row-major unless `layout` says otherwise, aligned to 64 bytes or inside a tensor that is.
// Sub-byte types are packed as in ir::Tensor. A string tensor has `strings` and no data.
struct Array {
  ir::ElementType type = ir::ElementType::undefined;
  ir::Dims dims;
  std::byte* data = nullptr;
  std::shared_ptr<const void> owner;  // a hone::Buffer that keeps the memory alive; null: the session's arena does
  std::shared_ptr<std::vector<std::string>> strings;
  std::shared_ptr<const Layout> layout;

  std::size_t rank() const { return dims.size(); }
  std::int64_t count() const {
    std::int64_t product = 1;
    for (const std::int64_t dim : dims) product *= dim;
    return product;
  }
  std::uint64_t byte_size() const { return ir::byte_size(type, static_cast<std::uint64_t>(count())).value(); }
  template <typename T>
  const T* as() const {
    return reinterpret_cast<const T*>(data);
  }
  template <typename T>
  T* as() {
    return reinterpret_cast<T*>(data);
  }
  template <typename T>
  std::span<const T> span() const {
    return {as<T>(), static_cast<std::size_t>(count())};
  }
  template <typename T>
  std::span<T> span() {
    return {as<T>(), static_cast<std::size_t>(count())};
  }
};

Array to_array(const ir::Tensor& tensor);  // shares loaded memory, loads otherwise; must not be written to
ir::Tensor to_tensor(const Array& array);  // shares memory that has an owner, copies otherwise; row-major only

// What a kernel works with while it runs. Sizes that a model decides are checked against the memory limit before they
// are allocated (resource_limit).
class Context {
 public:
  explicit Context(const ir::Node& node) : node_(node) {}
  virtual ~Context() = default;
  const ir::Node& node() const { return node_; }

  virtual std::size_t input_count() const = 0;
  virtual bool has_input(std::size_t index) const = 0;  // false past the end and for an empty slot
  // A tensor input, row-major. Raises bad_input when it is absent or no tensor.
  virtual const Array& input(std::size_t index) = 0;
  // As it lies in memory, perhaps with a layout.
  virtual const Array& raw_input(std::size_t index) { return input(index); }
  virtual const ir::Datum& datum(std::size_t index) = 0;  // an input of any kind
  virtual bool is_tensor(std::size_t index) = 0;          // present, and no sequence, optional or map

  virtual std::size_t output_count() const = 0;
  virtual bool wants_output(std::size_t index) const = 0;  // somebody reads it
  // A tensor output with undefined contents (strings: empty), to be filled before the kernel returns.
  virtual Array& output(std::size_t index, ir::ElementType type, std::span<const std::int64_t> dims) = 0;
  Array& output(std::size_t index, ir::ElementType type, std::initializer_list<std::int64_t> dims) {
    return output(index, type, std::span<const std::int64_t>(dims.begin(), dims.size()));
  }
  // As output(), in the memory of input `source` where that has the same byte size and nobody else needs it any more.
  virtual Array& output_over(std::size_t index, std::size_t source, ir::ElementType type,
                             std::span<const std::int64_t> dims) {
    (void)source;
    return output(index, type, dims);
  }
  // The output is input `source` under other dimensions: shared where possible, copied otherwise.
  virtual void forward(std::size_t index, std::size_t source, std::span<const std::int64_t> dims) = 0;
  virtual void set_output(std::size_t index, ir::Datum datum) = 0;
  // Memory in a backend's own layout.
  virtual Array& output_with_layout(std::size_t index, ir::ElementType type, std::span<const std::int64_t> dims,
                                    std::shared_ptr<const Layout> layout) = 0;
  // Both: in the memory of input `source` where that is in the same layout and nobody else needs it any more.
  virtual Array& output_over_with_layout(std::size_t index, std::size_t source, ir::ElementType type,
                                         std::span<const std::int64_t> dims, std::shared_ptr<const Layout> layout) {
    (void)source;
    return output_with_layout(index, type, dims, std::move(layout));
  }

  // Aligned memory for the time of this run.
  virtual std::byte* scratch(std::uint64_t bytes) = 0;
  // Runs a graph attribute of the node: its inputs in order, its outputs in order.
  virtual std::vector<ir::Datum> run_subgraph(std::string_view attribute, std::vector<ir::Datum> inputs) = 0;
  // A seed for a node that draws random numbers without one of its own; differs by node and by run.
  virtual std::uint64_t random_seed() = 0;

 private:
  const ir::Node& node_;
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void run(Context& context) = 0;
  virtual std::string name() const { return "reference"; }  // for profiles: "onednn:jit:avx512_core" ...
};

// What is known of a node when its kernel is made.
struct KernelInfo {
  const ir::Node& node;
  const ir::Model& model;
  std::int64_t opset = 0;  // version of the node's domain that the model (or function) imports
  int threads = 1;

  const ir::Tensor* constant_input(std::size_t index) const { return ir::constant(node.input(index)); }
  ir::ElementType input_type(std::size_t index) const {
    const ir::Value* value = node.input(index);
    return value ? value->element_type() : ir::ElementType::undefined;
  }
};

// Null: the kernel declines this node (optimized kernels only).
using KernelFactory = std::unique_ptr<Kernel> (*)(const KernelInfo&);

struct KernelEntry {
  std::string_view op_type;
  std::int64_t since;  // first version of the operator's domain it is for ...
  KernelFactory make;
  std::int64_t until = std::numeric_limits<std::int64_t>::max();  // ... and the last
  std::string_view domain = "";
};

// The kernel for a node: the optimized one unless `reference` is set or there is none. Null if there is no kernel; then
// a function body may exist (onnx::function_body), which evaluate() and Session use by themselves.
std::unique_ptr<Kernel> make_kernel(const KernelInfo& info, bool reference);
bool has_kernel(const ir::Node& node, std::int64_t opset);

// A kernel that keeps no state: `Run` reads what it needs from the node each time.
template <void (*Run)(Context&)>
std::unique_ptr<Kernel> stateless(const KernelInfo&) {
  struct Stateless final : Kernel {
    void run(Context& context) override { Run(context); }
  };
  return std::make_unique<Stateless>();
}

// A kernel class with a constructor from KernelInfo.
template <typename K>
std::unique_ptr<Kernel> make(const KernelInfo& info) {
  return std::make_unique<K>(info);
}

}  // namespace hone::exec
