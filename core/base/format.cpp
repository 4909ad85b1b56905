#include "core/base/format.h"

#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <utility>

namespace meshattn {

std::string time_text(double s) {
  // The limits are half a last digit below the unit: 0.9999999 ms is not written as 1000.000 us.
  const double size = std::abs(s);
  if (size >= 0.9999995) return fmt::format("{:.3f} s", s);
  if (size >= 0.9999995e-3 || s == 0) return fmt::format("{:.3f} ms", s * 1e3);
  return fmt::format("{:.3f} us", s * 1e6);
}

std::string bytes_text(double bytes) {
  for (const auto& [unit, name] : {std::pair{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}})
    if (bytes >= unit) return fmt::format("{:.2f} {}", bytes / unit, name);
  return fmt::format("{:.0f} B", bytes);
}

std::string percent_text(double fraction) {
  const double percent = fraction * 100;
  return fmt::format("{:.1f} %", std::abs(percent) < 0.05 ? 0.0 : percent);  // never "-0.0 %"
}

std::string count_text(std::uint64_t n) {
  const std::string digits = fmt::format("{}", n);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

}  // namespace meshattn
