// Reading --normalize.
#include "hone/data/preprocess.h"

#include <fmt/format.h>

#include <cmath>

#include "hone/support/error.h"
#include "hone/support/text.h"

namespace hone::data {
namespace {

// "0.5", "1/255".
double number(std::string_view value, std::string_view whole) {
  const auto parts = split(value, '/');
  const auto above = parse_double(trim(parts[0]));
  const auto below = parts.size() == 2 ? parse_double(trim(parts[1])) : 1.0;
  if (!above || !below || parts.size() > 2 || !std::isfinite(*above / *below)) {
    usage_error("normalize {}: {} is no number", quote(whole), quote(value));
  }
  return *above / *below;
}

std::vector<double> numbers(std::string_view values, std::string_view whole) {
  std::vector<double> result;
  for (const std::string_view value : split(values, ',')) result.push_back(number(value, whole));
  return result;
}

std::string list(const std::vector<double>& values) {
  std::string result;
  for (const double value : values) result += fmt::format("{}{}", result.empty() ? "" : ",", value);
  return result;
}

}  // namespace

Preprocess parse_preprocess(std::string_view text) {
  Preprocess result;
  std::string spaced(text);
  for (char& c : spaced) c = c == ';' ? ' ' : c;
  bool any = false;
  for (const std::string_view word : split(spaced, ' ')) {
    if (word.empty()) continue;
    any = true;
    if (word == "imagenet") {  // of torchvision's models
      result.scale = 1.0 / 255;
      result.mean = {0.485, 0.456, 0.406};
      result.std = {0.229, 0.224, 0.225};
      continue;
    }
    const std::size_t equals = word.find('=');
    const std::string_view key = word.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? std::string_view() : word.substr(equals + 1);
    if (key == "scale") {
      result.scale = number(value, text);
    } else if (key == "mean") {
      result.mean = numbers(value, text);
    } else if (key == "std") {
      result.std = numbers(value, text);
      for (const double each : result.std) {
        if (each <= 0) usage_error("normalize {}: std must be above 0", quote(text));
      }
    } else if (key == "layout") {
      if (value == "nhwc-nchw") {
        result.layout = Preprocess::Layout::nhwc_to_nchw;
      } else if (value == "nchw-nhwc") {
        result.layout = Preprocess::Layout::nchw_to_nhwc;
      } else {
        usage_error("normalize {}: layout is nhwc-nchw or nchw-nhwc", quote(text));
      }
    } else {
      usage_error("normalize {}: {} is none of scale=, mean=, std=, layout= and imagenet", quote(text), quote(word));
    }
  }
  if (!any) usage_error("normalize: nothing given");
  if (result.mean.size() > 1 && result.std.size() > 1 && result.mean.size() != result.std.size()) {
    usage_error("normalize {}: {} means and {} std", quote(text), result.mean.size(), result.std.size());
  }
  return result;
}

std::pair<std::string, Preprocess> parse_normalize(std::string_view text) {
  // What follows the input's name has no colon, the name may have.
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return {"", parse_preprocess(text)};
  return {std::string(text.substr(0, colon)), parse_preprocess(text.substr(colon + 1))};
}

std::string text(const Preprocess& preprocess) {
  std::string result;
  const auto add = [&](const std::string& word) { result += (result.empty() ? "" : " ") + word; };
  if (preprocess.scale != 1) add(fmt::format("scale={}", preprocess.scale));
  if (!preprocess.mean.empty()) add("mean=" + list(preprocess.mean));
  if (!preprocess.std.empty()) add("std=" + list(preprocess.std));
  if (preprocess.layout == Preprocess::Layout::nhwc_to_nchw) add("layout=nhwc-nchw");
  if (preprocess.layout == Preprocess::Layout::nchw_to_nhwc) add("layout=nchw-nhwc");
  return result.empty() ? "scale=1" : result;
}

}  // namespace hone::data
