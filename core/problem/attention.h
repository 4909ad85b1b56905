#pragma once

#include <cstdint>
#include <string_view>

namespace meshattn {

/// Element type of a value.
enum class Dtype : std::uint8_t { kBf16, kFp16, kFp32 };

/// Direction of a schedule. Forward and backward of a layer are two schedules.
enum class Pass : std::uint8_t { kForward, kBackward };

/// Bytes of one element.
[[nodiscard]] int size_of(Dtype dtype);

[[nodiscard]] std::string_view name_of(Dtype dtype);
[[nodiscard]] std::string_view name_of(Pass pass);

/// @throws InvalidInput naming the text and the possible names.
[[nodiscard]] Dtype parse_dtype(std::string_view name);
[[nodiscard]] Pass parse_pass(std::string_view name);

/// One attention layer. Q and O are [batch, seq_q, heads, head_dim], K and V [batch, seq_kv, kv_heads, head_dim]. The
/// queries are at the last seq_q of seq_kv positions; the positions before them are a cached prefix.
struct AttentionShape {
  std::int64_t seq_q = 0;
  std::int64_t seq_kv = 0;
  int batch = 1;
  int heads = 1;
  int kv_heads = 1;
  int head_dim = 128;
  Dtype dtype = Dtype::kBf16;

  /// Query heads that share one key/value head (1 for MHA).
  [[nodiscard]] int group() const { return heads / kv_heads; }

  friend bool operator==(const AttentionShape&, const AttentionShape&) = default;
};

/// The longest sequence. With the bounds on heads it keeps (query, key) pairs and bytes of a tensor within 64 bits.
inline constexpr std::int64_t kMaxTokens = 1 << 30;

/// @throws InvalidInput if a size is below 1 or too large, kv_heads does not divide heads, or there are fewer keys than
/// queries.
void check(const AttentionShape& shape);

/// Floating-point operations of `pairs` (query, key) pairs of one head: 4·pairs·d forward (two matrix products of 2·d
/// each), 2.5 times that backward (five products).
[[nodiscard]] double flops(double pairs, int head_dim, Pass pass);

}  // namespace meshattn
