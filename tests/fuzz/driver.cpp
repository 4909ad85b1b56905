// A deterministic fuzzer: runs the target that it is linked with on mutants of seed files, for a given number of
// seconds. The same random seed gives the same mutants. Without this file a target links against libFuzzer instead.

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

/// libFuzzer's entry point. Throws or dies on a bug; returns −1 on an input that is not worth keeping.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxInputs = 256;
constexpr std::size_t kMaxBytes = 1 << 16;
constexpr auto kTooSlow = std::chrono::seconds(20);

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }

  /// Makes one random change or more: after each, another follows with probability 1/2. `other` supplies foreign parts.
  std::string mutate(std::string text, const std::string& other) {
    do change(text, other);
    while (below(2) == 0);
    if (text.size() > kMaxBytes) text.resize(kMaxBytes);
    return text;
  }

 private:
  struct Part {
    std::size_t begin;
    std::size_t length;
  };

  /// The line around a random position, including its line end.
  Part line(const std::string& text) {
    const std::size_t at = below(text.size());
    const std::size_t begin = at == 0 ? 0 : text.rfind('\n', at - 1) + 1;  // npos + 1 is 0
    const std::size_t end = text.find('\n', at);
    return {begin, (end == std::string::npos ? text.size() : end + 1) - begin};
  }

  /// A run of letters or digits near a random position; may be empty.
  Part word(const std::string& text) {
    std::size_t begin = below(text.size());
    while (begin < text.size() && std::isalnum(static_cast<unsigned char>(text[begin])) == 0) ++begin;
    while (begin > 0 && begin < text.size() && std::isalnum(static_cast<unsigned char>(text[begin - 1])) != 0) --begin;
    std::size_t end = begin;
    while (end < text.size() && std::isalnum(static_cast<unsigned char>(text[end])) != 0) ++end;
    return {begin, end - begin};
  }

  void change(std::string& text, const std::string& other) {
    static constexpr std::string_view kNumbers[] = {"0",     "1",          "2",          "3",
                                                    "-1",    "65535",      "65536",      "2147483647",
                                                    "1e308", "2147483648", "4294967295", "18446744073709551615",
                                                    "nan",   "131072",     "0.5",        "99999999999999999999"};
    if (text.empty()) text = other;
    if (text.empty()) return;
    const std::size_t at = below(text.size());
    switch (below(10)) {
      case 0:
        text[at] = static_cast<char>(random_());
        break;
      case 1:
        text.insert(at, 1, static_cast<char>(random_()));
        break;
      case 2:
        text.erase(at, 1 + below(16));
        break;
      case 3:
        replace(text, line(text), "");
        break;
      case 4:
        text.insert(line(text).begin, cut(text, line(text)));
        break;
      case 5:
        if (!other.empty()) text.insert(line(text).begin, cut(other, line(other)));
        break;
      case 6:
        if (!other.empty()) replace(text, word(text), cut(other, word(other)));
        break;
      case 7:
        replace(text, word(text), cut(text, word(text)));
        break;
      case 8:
        replace(text, word(text), std::string(kNumbers[below(std::size(kNumbers))]));
        break;
      case 9:
        replace(text, word(text), std::to_string(below(100)));
        break;
    }
  }

  static std::string cut(const std::string& text, Part part) { return text.substr(part.begin, part.length); }
  static void replace(std::string& text, Part part, const std::string& by) {
    text.replace(part.begin, part.length, by);
  }

  std::mt19937_64 random_;
};

/// Runs the target on one input. @returns true if the target accepts it. On a bug, writes the input to a file and
/// exits.
bool run_one(const std::string& input) {
  const auto report = [&input](const char* what) {
    std::ofstream("fuzz-failure.txt", std::ios::binary) << input;
    std::fprintf(stderr, "%s; the input is in fuzz-failure.txt\n", what);
    std::exit(1);
  };
  const auto start = Clock::now();
  int result = -1;
  try {
    result = LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  } catch (const std::exception& e) {
    report(e.what());
  }
  if (Clock::now() - start > kTooSlow) report("took more than 20 s");
  return result == 0;
}

std::vector<std::string> read_seeds(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> seeds;
  for (const auto& path : paths) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    seeds.push_back(std::move(text).str());
  }
  return seeds;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s SECONDS RANDOM_SEED SEED_FOLDER (MESHATTN_FUZZ_SECONDS overrides)\n", argv[0]);
    return 2;
  }
  const char* const longer = std::getenv("MESHATTN_FUZZ_SECONDS");
  const auto end = Clock::now() + std::chrono::seconds(std::atoi(longer != nullptr ? longer : argv[1]));
  std::vector<std::string> kept = read_seeds(argv[3]);
  const std::size_t seeds = kept.size();
  std::size_t accepted = 0;
  for (const std::string& seed : kept) accepted += run_one(seed) ? 1 : 0;
  if (accepted == 0) {
    std::fprintf(stderr, "no seed in %s is accepted\n", argv[3]);
    return 1;
  }

  Mutator mutator(std::strtoull(argv[2], nullptr, 10));
  std::size_t runs = 0;
  for (; Clock::now() < end; ++runs) {
    std::string input = mutator.mutate(kept[mutator.below(kept.size())], kept[mutator.below(kept.size())]);
    if (!run_one(input)) continue;
    ++accepted;
    if (kept.size() < kMaxInputs)
      kept.push_back(std::move(input));
    else
      kept[seeds + mutator.below(kept.size() - seeds)] = std::move(input);
  }
  std::printf("%zu mutants of %zu seeds, %zu accepted\n", runs, seeds, accepted);
  return 0;
}
