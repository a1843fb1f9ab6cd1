// Post-training quantization to int8.
//
// Static: QuantizeLinear/DequantizeLinear pairs (QDQ) where ONNX Runtime's CPU provider turns them into integer kernels, and
// nowhere else; activations uint8 per tensor, weights int8 symmetric per output channel, biases int32; ranges from
// min-max over calibration data, streamed through the executor. Dynamic: weights int8, activations quantized as they come
// (DynamicQuantizeLinear, MatMulInteger); no data needed.
//
// Placement follows docs/quantize.md, "where Q and DQ go"; every node gets an entry that says what it becomes, or why it
// stays float.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hone/data/feed.h"
#include "hone/ir/model.h"
#include "hone/support/observer.h"

namespace hone::quantize {

enum class Mode { static_, dynamic };

struct QuantizeOptions {
  Mode mode = Mode::static_;
  bool per_channel = true;
  // Weights in [-64, 64]: no saturation in u8 x s8 pair sums on x86 CPUs without VNNI.
  bool reduce_range = false;
  std::string include = {}, exclude = {};   // regular expressions over node names
  std::vector<std::string> operators = {};  // only these (Conv, Gemm, MatMul); empty: all three
  std::int64_t batch = 16;  // samples run at once while calibrating: bounds memory, changes nothing else
  bool simplify = true;     // run the passes of `hone convert` first: a BatchNormalization left standing costs
                            // its convolution the integer kernel
};

struct Range {
  std::string value;
  float min = 0, max = 0;
  float scale = 0;
  std::int64_t zero_point = 0;
};

struct NodeDecision {
  std::string node, op_type;
  bool quantized = false;
  std::string kernel_or_reason;  // "QLinearConv", or why it stays float
};

struct QuantizeResult {
  std::vector<NodeDecision> nodes;  // Conv, Gemm, MatMul, and what joined them
  std::vector<Range> ranges;
  std::int64_t samples = 0;  // calibrated on
  std::uint64_t weight_bytes_before = 0, weight_bytes_after = 0;
};

// Changes `model`. `calibration` is needed for static mode (usage error without). Raises unsupported where nothing can be
// quantized, naming the reasons; bad_input for data that doesn't fit or gives ranges that are not finite.
QuantizeResult quantize(ir::Model& model, const data::Dataset* calibration, const data::FeedOptions& feed,
                        const QuantizeOptions& options, Observer& observer);

}  // namespace hone::quantize
