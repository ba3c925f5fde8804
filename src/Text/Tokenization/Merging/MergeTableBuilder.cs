using System.Text;
using LlamaCluster.Primitives;

namespace LlamaCluster.Text.Tokenization.Merging;

/// <summary>
/// Reads a list of merges, best first, as vocabulary files write it. Refuses merges of tokens that do not exist; leaves out those
/// of special tokens, which plain text never becomes.
/// </summary>
/// <param name="field">What the merges are read from, for messages.</param>
/// <param name="error">Makes an error that names the file, from a message that starts with a field.</param>
sealed class MergeTableBuilder(
    int mergeCount, TokenSpelling spelling, TokenSet tokens, string field, Func<string, ModelFormatException> error)
{
    readonly MergeTable _table = new(mergeCount);
    byte[] _raw = new byte[256];
    int _rank;

    public MergeTable Table => _table;

    /// <summary>Adds a merge in the form <c>left right</c>.</summary>
    public void Add(ReadOnlySpan<byte> pair)
    {
        var space = pair.IndexOf((byte)' ');
        if (space <= 0 || space == pair.Length - 1 || pair[(space + 1)..].Contains((byte)' '))
            throw error($"{field}[{_rank}] is {Quote(pair)}; expected two tokens with one space between them");
        Add(pair[..space], pair[(space + 1)..]);
    }

    public void Add(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right)
    {
        if (left.Length + right.Length > _raw.Length) _raw = new byte[2 * (left.Length + right.Length)];
        var isKnown = spelling.TryDecode(left, _raw, out var leftLength);
        isKnown &= spelling.TryDecode(right, _raw.AsSpan(leftLength), out var rightLength);
        var merged = _raw.AsSpan(0, leftLength + rightLength);
        isKnown &= tokens.Plain.TryFind(merged[..leftLength], out var leftId);
        isKnown &= tokens.Plain.TryFind(merged[leftLength..], out var rightId);
        isKnown &= tokens.Plain.TryFind(merged, out var mergedId);
        if (isKnown)
        {
            if (!_table.TryAdd(leftId, rightId, (uint)_rank, mergedId))
                throw error($"{field}[{_rank}] is {Quote(left)} and {Quote(right)}, which an earlier merge is too");
        }
        else
        {
            RefuseUnknown(left, right);
        }
        _rank++;
    }

    void RefuseUnknown(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right)
    {
        var names = (string[])[Encoding.UTF8.GetString(left), Encoding.UTF8.GetString(right), Encoding.UTF8.GetString([.. left, .. right])];
        if (tokens.Added.Any(token => token.IsSpecial && names.Contains(token.Written))) return;
        throw error($"{field}[{_rank}] merges {ErrorText.Quote(names[0])} and {ErrorText.Quote(names[1])}: "
            + "one of them, or what they become, is not in the vocabulary");
    }

    static string Quote(ReadOnlySpan<byte> text) => ErrorText.Quote(Encoding.UTF8.GetString(text[..Math.Min(text.Length, 200)]));
}
