#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "core/base/error.h"
#include "core/schedule/passes/verify.h"
#include "core/schedule/text.h"

namespace {

std::optional<meshattn::Schedule> read(std::string_view text) {
  try {
    return meshattn::read_text(text, "fuzz");
  } catch (const meshattn::InvalidInput&) {
    return {};
  }
}

}  // namespace

/// A text that is accepted must be written as a text that reads back unchanged, and `verify` must not fail on it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto schedule = read({reinterpret_cast<const char*>(data), size});
  if (!schedule) return -1;
  const std::string text = meshattn::write_text(*schedule);
  const auto again = read(text);
  if (!again || meshattn::write_text(*again) != text)
    throw std::logic_error("the written text reads back as another schedule");
  (void)meshattn::verify(*schedule);
  return 0;
}
