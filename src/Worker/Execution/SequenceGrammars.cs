using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Matching;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Execution;

/// <summary>
/// Grammars of sequences that a coming step will introduce, compiled where the stream of steps is read: the steps behind wait for it, those before do not.
/// </summary>
/// <param name="maxVocabulary">The greatest of the model's vocabulary and those of adapters.</param>
/// <param name="maxSequences">The most sequences that may have a grammar here before they are introduced.</param>
sealed class SequenceGrammars(int maxVocabulary, int maxSequences)
{
    /// <summary>Bytes of the texts of all tokens of a vocabulary.</summary>
    const int MostText = 64 << 20;

    readonly GrammarCache _cache = new();
    readonly Dictionary<ulong, (GrammarCompilation Compiled, GrammarVocabulary Vocabulary)> _waiting = [];
    readonly Dictionary<ulong, GrammarVocabulary> _vocabularies = [];   // by the adapter whose own it is; 0: the model's
    readonly List<ReadOnlyMemory<byte>> _texts = [];   // of the vocabulary of which parts come
    readonly List<int> _endIds = [];
    ulong _adapter;
    long _textBytes;

    /// <exception cref="InvalidMessageException">The parts contradict themselves or each other, or are more than the vocabulary.</exception>
    public void Add(Wire.VocabularyPart part)
    {
        if (_vocabularies.ContainsKey(part.AdapterId)) throw new InvalidMessageException("vocabulary: it has come already");
        if (_texts.Count > 0 && part.AdapterId != _adapter) throw new InvalidMessageException("vocabulary: parts of two come at a time");
        _adapter = part.AdapterId;
        Field.Count("lengths of all parts of the vocabulary", (long)_texts.Count + part.Lengths.Count, 0, maxVocabulary);
        Field.Count("end_ids of all parts of the vocabulary", (long)_endIds.Count + part.EndIds.Count, 0, maxVocabulary);
        Field.Count("bytes of all parts of the vocabulary", _textBytes += part.Texts.Length, 0, MostText);
        var at = 0;
        foreach (var length in part.Lengths)
        {
            if (length > part.Texts.Length - at) throw new InvalidMessageException("vocabulary: its texts are shorter than their lengths");
            _texts.Add(part.Texts.Memory.Slice(at, (int)length));
            at += (int)length;
        }
        foreach (var id in part.EndIds) _endIds.Add((int)Field.Count("an end_id of the vocabulary", id, 0, maxVocabulary - 1));
        if (!part.Last) return;
        if (_vocabularies.Count == MessageBudgets.Vocabularies) _vocabularies.Clear();   // as the coordinator does, which sends them again
        _vocabularies.Add(_adapter, new GrammarVocabulary(Math.Max(_texts.Count, _endIds.DefaultIfEmpty(-1).Max() + 1), [.. _texts], [.. _endIds]));
        _texts.Clear();
        _endIds.Clear();
        _textBytes = 0;
    }

    /// <exception cref="InvalidMessageException">There are more grammars than there may be, or no vocabulary.</exception>
    public void Add(Wire.SequenceGrammar grammar)
    {
        if (!_vocabularies.TryGetValue(grammar.AdapterId, out var vocabulary))
            throw new InvalidMessageException($"grammar of sequence {grammar.SequenceId}: the vocabulary has not come");
        _waiting[grammar.SequenceId] = (_cache.Compile(new GrammarSource((GrammarKind)grammar.Kind, grammar.Text)), vocabulary);
        Field.Count("sequences with a grammar", _waiting.Count, 1, maxSequences);
    }

    /// <summary>A sequence's facts with the grammar that came for it, which is forgotten here.</summary>
    public SequenceStart Complete(SequenceStart start)
    {
        if (!_waiting.Remove(start.SequenceId, out var its) || start.Problem is not null) return start;
        return its.Compiled.Grammar is { } grammar
            ? start with { Grammar = new FollowedGrammar(grammar, its.Vocabulary) }
            : start with { Problem = $"its grammar cannot be enforced: {its.Compiled.Refusal}" };
    }
}
