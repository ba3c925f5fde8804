using System.Runtime.InteropServices;
using LlamaCluster.Cluster.Mapping;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Execution;

/// <summary>Histories of sequences that a coming step is to introduce. They come in parts, so that no message is too large.</summary>
/// <param name="maxSequences">The most sequences that may be announced so and not be introduced yet.</param>
/// <param name="maxLength">The most tokens of one history.</param>
sealed class HistoryParts(int maxSequences, int maxLength)
{
    readonly Dictionary<ulong, List<int>> _parts = [];

    /// <exception cref="InvalidMessageException">More is announced than may be.</exception>
    public void Add(Wire.HistoryPart part)
    {
        var field = $"history of sequence {part.SequenceId}";
        ref var tokens = ref CollectionsMarshal.GetValueRefOrAddDefault(_parts, part.SequenceId, out var known);
        if (!known) tokens = [];
        Field.Count("sequences with a history", _parts.Count, 1, maxSequences);
        Field.Count(field, (long)tokens!.Count + part.Tokens.Count, 1, maxLength);
        tokens.AddRange(part.Tokens);
    }

    /// <summary>The tokens that came for a sequence; they are its own from now on.</summary>
    public IReadOnlyList<int> Take(ulong sequenceId) => _parts.Remove(sequenceId, out var tokens) ? tokens : [];
}
