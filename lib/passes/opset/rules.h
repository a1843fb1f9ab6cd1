// Rules for operators that changed in more than what they take.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hone/onnx/schema.h"
#include "passes/opset/step.h"

namespace hone::passes::opset {

// What was not possible, for the message; empty: done.
using Reason = std::string;
using Rule = Reason (*)(Step& step);

struct Entry {
  std::string_view op_type;
  std::int64_t version = 0;  // the since_version that brought the change
  Rule up = nullptr;         // from the version before to this one; null: as the schemas say
  Rule down = nullptr;       // back
};

// The version of ai.onnx that a function body is written for.
std::int64_t body_version(const ir::Function& body);

// Each family of changes, one file each. After a rule that leaves the operator what it was, the schemas are asked as well.
std::vector<Entry> argument_rules();       // attributes that became inputs: axes, pads, k, bounds
std::vector<Entry> axis_rules();           // axes and indices that count from the end (11)
std::vector<Entry> broadcast_rules();      // broadcasting before opset 7 and 8
std::vector<Entry> softmax_rules();        // Softmax over one axis (13)
std::vector<Entry> normalization_rules();  // BatchNormalization, GroupNormalization, Dropout, LayerNormalization
std::vector<Entry> resize_rules();         // Upsample, Resize, and other sampling
std::vector<Entry> recurrent_rules();      // layout of recurrent operators
std::vector<Entry> value_rules();          // Constant, Cast, Shape, quantization, indices
std::vector<Entry> mode_rules();           // words that an attribute may say only since some version

}  // namespace hone::passes::opset
