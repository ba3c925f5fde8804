using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Text.Grammars;
using LlamaCluster.Text.Grammars.Matching;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Execution;

/// <summary>Grammars of sequences that a coming step will introduce, compiled where the stream of steps is read: the steps behind wait for it, those before do not.</summary>
/// <param name="vocabularySize">V of the model.</param>
/// <param name="maxSequences">The most sequences that may have a grammar here before they are introduced.</param>
sealed class SequenceGrammars(int vocabularySize, int maxSequences)
{
    /// <summary>Bytes of the texts of all tokens.</summary>
    const int MostText = 64 << 20;

    readonly GrammarCache _cache = new();
    readonly Dictionary<ulong, GrammarCompilation> _waiting = [];
    readonly List<ReadOnlyMemory<byte>> _texts = [];
    readonly List<int> _endIds = [];
    GrammarVocabulary? _vocabulary;
    long _textBytes;

    /// <exception cref="InvalidMessageException">The parts contradict themselves or each other, or are more than the vocabulary.</exception>
    public void Add(Wire.VocabularyPart part)
    {
        if (_vocabulary is not null) throw new InvalidMessageException("vocabulary: it has come already");
        Field.Count("lengths of all parts of the vocabulary", (long)_texts.Count + part.Lengths.Count, 0, vocabularySize);
        Field.Count("end_ids of all parts of the vocabulary", (long)_endIds.Count + part.EndIds.Count, 0, vocabularySize);
        Field.Count("bytes of all parts of the vocabulary", _textBytes += part.Texts.Length, 0, MostText);
        var at = 0;
        foreach (var length in part.Lengths)
        {
            if (length > part.Texts.Length - at) throw new InvalidMessageException("vocabulary: its texts are shorter than their lengths");
            _texts.Add(part.Texts.Memory.Slice(at, (int)length));
            at += (int)length;
        }
        foreach (var id in part.EndIds) _endIds.Add((int)Field.Count("an end_id of the vocabulary", id, 0, vocabularySize - 1));
        if (part.Last) _vocabulary = new GrammarVocabulary(vocabularySize, _texts, _endIds);
    }

    /// <exception cref="InvalidMessageException">There are more grammars than there may be, or no vocabulary.</exception>
    public void Add(Wire.SequenceGrammar grammar)
    {
        if (_vocabulary is null) throw new InvalidMessageException($"grammar of sequence {grammar.SequenceId}: the vocabulary has not come");
        _waiting[grammar.SequenceId] = _cache.Compile(new GrammarSource((GrammarKind)grammar.Kind, grammar.Text));
        Field.Count("sequences with a grammar", _waiting.Count, 1, maxSequences);
    }

    /// <summary>A sequence's facts with the grammar that came for it, which is forgotten here.</summary>
    public SequenceStart Complete(SequenceStart start)
    {
        if (!_waiting.Remove(start.SequenceId, out var compiled) || start.Problem is not null) return start;
        return compiled.Grammar is { } grammar
            ? start with { Grammar = new FollowedGrammar(grammar, _vocabulary!) }
            : start with { Problem = $"its grammar cannot be enforced: {compiled.Refusal}" };
    }
}
