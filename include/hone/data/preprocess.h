// What is done to numbers before a model sees them: y = (x * scale - mean) / std by channel, and a change of layout.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hone::data {

struct Preprocess {
  enum class Layout { keep, nhwc_to_nchw, nchw_to_nhwc };

  double scale = 1;
  std::vector<double> mean, std;  // empty: 0 and 1; one value: every channel; else one for each channel
  Layout layout = Layout::keep;

  bool changes_values() const { return scale != 1 || !mean.empty() || !std.empty(); }
};

// KEY=VALUE pairs with spaces or semicolons between: scale=1/255, mean=0.485,0.456,0.406, std=..., layout=nhwc-nchw (or
// nchw-nhwc). The word imagenet stands for the scale, mean and std that torchvision's models want. Raises usage.
Preprocess parse_preprocess(std::string_view text);
// The option --normalize [INPUT:]SPEC; the input is "" where it is not named.
std::pair<std::string, Preprocess> parse_normalize(std::string_view text);
// parse_preprocess(text(p)) is p.
std::string text(const Preprocess& preprocess);

}  // namespace hone::data
