#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace meshattn {

struct AttentionShape;

/// Numbers begin … end − 1: positions of tokens, or indices into a run of them.
struct Interval {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  friend bool operator==(const Interval&, const Interval&) = default;
};

/// An arithmetic run of token positions: start, start + stride, …, `count` of them.
struct TokenRun {
  std::int64_t start = 0;
  std::int64_t stride = 1;
  std::int64_t count = 0;

  /// Position of the last token of a run that has one.
  [[nodiscard]] std::int64_t last() const { return start + (count - 1) * stride; }
  /// Indices of the tokens of the run that lie within `positions`.
  [[nodiscard]] Interval indices_in(Interval positions) const;

  friend bool operator==(const TokenRun&, const TokenRun&) = default;
};

/// Packed documents: neighbouring stretches of a sequence that do not see each other. None at all: one document.
class Documents {
 public:
  Documents() = default;
  /// @throws InvalidInput on a length below one, or more tokens than 64 bits count.
  explicit Documents(std::span<const std::int64_t> lengths);

  [[nodiscard]] bool empty() const { return ends_.empty(); }
  [[nodiscard]] std::size_t count() const { return ends_.size(); }
  /// Tokens of all documents.
  [[nodiscard]] std::int64_t tokens() const { return ends_.empty() ? 0 : ends_.back(); }
  /// Positions of document d.
  [[nodiscard]] Interval positions(std::size_t d) const { return {d == 0 ? 0 : ends_[d - 1], ends_[d]}; }
  /// The document that a position below tokens() is in.
  [[nodiscard]] std::size_t at(std::int64_t position) const;

  /// Ends of the spans that are dealt to the ranks one by one: a span is the shortest run of neighbouring documents
  /// with at least a sixteenth of the tokens; what is left at the end joins the last one.
  [[nodiscard]] std::span<const std::int64_t> span_ends() const { return span_ends_; }

  friend bool operator==(const Documents&, const Documents&) = default;

 private:
  std::vector<std::int64_t> ends_;       ///< ascending
  std::vector<std::int64_t> span_ends_;  ///< some of these, at most 16
};

/// Which keys a query sees, by position: an interval whose ends never fall as the query moves up, and which has the
/// query's own position.
struct Mask {
  bool causal = false;      ///< only keys at the query's position and before
  std::int64_t window = 0;  ///< of these the last W only: q − W < k ≤ q; 0 is without limit
  Documents documents;      ///< only keys of the query's document

  static const Mask kFull;
  static const Mask kCausal;

  /// True if every query sees every key.
  [[nodiscard]] bool is_full() const { return !causal && documents.empty(); }
  /// Positions of the keys that the query at position q sees. Without an end of its own it ends beyond every sequence.
  [[nodiscard]] Interval keys_of(std::int64_t q) const;

  friend bool operator==(const Mask&, const Mask&) = default;
};

inline constexpr Mask Mask::kFull{};
inline constexpr Mask Mask::kCausal{true, 0, {}};

/// In short: "causal", "window:4096", "documents (17)", "full+documents (17)".
[[nodiscard]] std::string name_of(const Mask& mask);

/// @throws InvalidInput on a window that is negative, too long or not causal, a cached prefix of which a window sees
/// only a part, or documents that do not make up the sequence.
void check(const Mask& mask, const AttentionShape& shape);

/// What a mask leaves of a run of queries × a run of keys.
struct Block {
  enum class Kind : std::uint8_t {
    kEmpty,
    kFull,
    kCausal,   ///< the query with index i in its run sees the keys with index j ≤ i + shift
    kPartial,  ///< anything else: see Mask::keys_of
  };
  Kind kind = Kind::kEmpty;
  std::int64_t shift = 0;  ///< of kCausal; may be negative
  /// (query, key) pairs left, of one head.
  std::int64_t pairs = 0;

  friend bool operator==(const Block&, const Block&) = default;
};

/// Classifies q × kv under the mask, in closed form for each document that both touch. Both runs have the same stride
/// (a partition cuts both sequences alike).
[[nodiscard]] Block block_of(const Mask& mask, const TokenRun& q, const TokenRun& kv);

}  // namespace meshattn
