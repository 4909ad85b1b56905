#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace meshattn {

struct AttentionShape;

/// The half-open interval begin … end − 1 of token positions, or of indices in a run of tokens.
struct Interval {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  friend bool operator==(const Interval&, const Interval&) = default;
};

/// Token positions start, start + stride, …, `count` of them.
struct TokenRun {
  std::int64_t start = 0;
  std::int64_t stride = 1;
  std::int64_t count = 0;

  /// Position of the last token. The run must not be empty.
  [[nodiscard]] std::int64_t last() const { return start + (count - 1) * stride; }
  /// Indices in the run of the tokens at `positions`.
  [[nodiscard]] Interval indices_in(Interval positions) const;

  friend bool operator==(const TokenRun&, const TokenRun&) = default;
};

/// Packed documents: consecutive parts of a sequence that do not attend to each other. Empty: the sequence is one
/// document.
class Documents {
 public:
  Documents() = default;
  /// `lengths` in tokens. @throws InvalidInput if a length is below 1 or the sum exceeds 64 bits.
  explicit Documents(std::span<const std::int64_t> lengths);

  [[nodiscard]] bool empty() const { return ends_.empty(); }
  [[nodiscard]] std::size_t count() const { return ends_.size(); }
  /// Number of tokens of all documents.
  [[nodiscard]] std::int64_t tokens() const { return ends_.empty() ? 0 : ends_.back(); }
  /// Positions of document d.
  [[nodiscard]] Interval positions(std::size_t d) const { return {d == 0 ? 0 : ends_[d - 1], ends_[d]}; }
  /// The document at a position below tokens().
  [[nodiscard]] std::size_t at(std::int64_t position) const;

  /// Ends of the spans that a document partition deals one by one. A span is the shortest run of documents with at
  /// least a sixteenth of all tokens; documents left at the end join the last span.
  [[nodiscard]] std::span<const std::int64_t> span_ends() const { return span_ends_; }

  friend bool operator==(const Documents&, const Documents&) = default;

 private:
  std::vector<std::int64_t> ends_;       ///< ascending
  std::vector<std::int64_t> span_ends_;  ///< at most 16 of `ends_`
};

/// The keys that each query sees, by position: an interval that contains the query's own position and whose ends never
/// decrease with the query's position.
struct Mask {
  bool causal = false;      ///< only keys at or before the query's position
  std::int64_t window = 0;  ///< only the last W of these: q − W < k ≤ q; 0: no limit
  Documents documents;      ///< only keys of the query's document; empty: all

  static const Mask kFull;
  static const Mask kCausal;

  /// True if every query sees every key.
  [[nodiscard]] bool is_full() const { return !causal && documents.empty(); }
  /// Positions of the keys that the query at position q sees. A mask without an end of its own ends beyond any
  /// sequence.
  [[nodiscard]] Interval keys_of(std::int64_t q) const;

  friend bool operator==(const Mask&, const Mask&) = default;
};

inline constexpr Mask Mask::kFull{};
inline constexpr Mask Mask::kCausal{true, 0, {}};

/// A short name: "causal", "window:4096", "documents (17)", "full+documents (17)".
[[nodiscard]] std::string name_of(const Mask& mask);

/// @throws InvalidInput if a window is negative, too long or not causal, it sees only part of a cached prefix, or the
/// documents do not add up to the sequence.
void check(const Mask& mask, const AttentionShape& shape);

/// The (query, key) pairs that a mask leaves of a run of queries × a run of keys.
struct Block {
  enum class Kind : std::uint8_t {
    kEmpty,
    kFull,
    kCausal,   ///< the query of index i in its run sees the keys of index j ≤ i + shift
    kPartial,  ///< any other subset: see Mask::keys_of
  };
  Kind kind = Kind::kEmpty;
  std::int64_t shift = 0;  ///< of kCausal; may be negative
  std::int64_t pairs = 0;  ///< (query, key) pairs left, of one head

  friend bool operator==(const Block&, const Block&) = default;
};

/// The block q × kv under the mask, in closed form for each document that both runs touch. Both runs must have the same
/// stride (a partition cuts both sequences in the same way).
[[nodiscard]] Block block_of(const Mask& mask, const TokenRun& q, const TokenRun& kv);

}  // namespace meshattn
