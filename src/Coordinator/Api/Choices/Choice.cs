using System.Text;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Primitives;
using LlamaCluster.Text;
using LlamaCluster.Text.Answers;

namespace LlamaCluster.Coordinator.Api.Choices;

/// <summary>
/// What a choice has gained: pieces that will not change, with the log-probabilities that belong to them. Every API's answers are written from these.
/// </summary>
/// <param name="Scores">Empty where none were asked for.</param>
/// <param name="End">Set with the choice's last delta.</param>
sealed record ChoiceDelta(int Index, IReadOnlyList<AnswerPiece> Pieces, IReadOnlyList<TokenScore> Scores, ChoiceEnd? End);

/// <summary>Why a choice ended.</summary>
/// <param name="StopText">The stop text that was found, if one was.</param>
readonly record struct ChoiceEnd(EndReason Reason, string? StopText = null)
{
    /// <summary>Why nothing more is told; null unless that is the reason.</summary>
    public FilterVerdict? Verdict { get; init; }
}

enum EndReason
{
    /// <summary>The model ended it, or a stop text did.</summary>
    Stop,

    /// <summary>The limit of tokens was reached.</summary>
    Length,

    /// <summary>The model waits for the results of calls.</summary>
    ToolCalls,

    /// <summary>A guard or a filter has judged the prompt or the answer unfit (<see cref="ChoiceEnd.Verdict"/>).</summary>
    ContentFilter,
}

/// <summary>A token with its log-probability, placed in its choice's text.</summary>
/// <param name="Offset">Unicode characters of the choice's text before the token's first.</param>
/// <param name="Known">False for a prompt's first token, which nothing predicts.</param>
readonly record struct TokenScore(SampledToken Token, int Offset, bool Known = true);

/// <summary>
/// One choice while it is made: turns a sequence's events into text that will not change. A token's log-probabilities go out with the first
/// character that it has a part in, so that a reader can join them to the text; where reasoning or calls are looked for, with the first character that
/// is looked at. Those of a stop text or a stop id are never sent.
/// </summary>
sealed class Choice(ChoiceRequest request, ITokenizer tokenizer)
{
    readonly TokenStreamDecoder _decoder = new(tokenizer, request.Format is null ? null : tokenizer.IdsOf(request.Format.Marks));
    readonly AnswerParser? _parser = request.Format is { } format ? new(format) : null;
    readonly StopMatcher _stops = new(request.Stops);
    readonly List<SampledToken> _prompt = [];
    readonly List<int> _ids = [];
    readonly Queue<(TokenScore Score, int Start)> _waiting = [];
    readonly int _echoed = Characters(request.Echo?.Text ?? ""); // Unicode characters
    readonly bool _scored = request.Sequence.Sampling.TopLogprobs is not null;
    bool _begun;
    int _decoded; // UTF-16 units of the answer
    int _released; // UTF-16 units that have gone out
    int _offset; // Unicode characters of the answer

    public ChoiceRequest Request => request;

    /// <summary>Generated tokens, a last stop id among them.</summary>
    public int Tokens { get; private set; }

    /// <summary>How many of the prompt's tokens did not have to be computed; 0 until the sequence has begun.</summary>
    public int CachedTokens { get; private set; }

    /// <summary>Generated tokens without the stop id; none where the request does not keep them.</summary>
    public IReadOnlyList<int> Ids => _ids;

    public bool Finished => Finish is not null;

    /// <summary>Why it ended; null while it has not.</summary>
    public EndReason? Finish { get; private set; }

    /// <summary>What it was going to be is not told.</summary>
    public void Block() => Finish = EndReason.ContentFilter;

    /// <summary>What the event adds; null if that is nothing a client can see yet.</summary>
    public ChoiceDelta? Accept(SequenceEvent happened)
    {
        switch (happened)
        {
            case SequenceEvent.Begun begun:
                CachedTokens = begun.CachedTokens;
                request.Record?.Begin(begun.Replica);
                return null;
            case SequenceEvent.Prompt prompt:
                _prompt.AddRange(prompt.Tokens);
                return null;
            case SequenceEvent.Token token:
                return AcceptToken(token.Sampled);
            case SequenceEvent.Finished finished:
                return request.Hidden ? Delta("", new(EndReason.Length)) : AcceptEnd(finished.Reason);
            default:
                throw new InvalidOperationException($"a choice cannot take {happened.GetType().Name}");
        }
    }

    ChoiceDelta? AcceptToken(SampledToken token)
    {
        if (request.Hidden) return UnlessEmpty(Delta("", null));
        Tokens++;
        var stops = request.Sequence.StopIds.Contains(token.Id);
        request.Record?.Add(token.Id, stops);
        if (stops) return null;
        if (request.KeepsIds) _ids.Add(token.Id);
        if (_scored) _waiting.Enqueue((new(token, _echoed + _offset), _decoded));
        var match = Match(_decoder.Append(token.Id));
        return match.Stop is null ? UnlessEmpty(Delta(match.Text, null)) : Delta(match.Text, new(EndReason.Stop, match.Stop), cut: true);
    }

    ChoiceDelta AcceptEnd(FinishReason reason)
    {
        var match = Match(_decoder.Flush());
        return match.Stop is null
            ? Delta(match.Text + _stops.Flush(), new(reason is FinishReason.Length ? EndReason.Length : EndReason.Stop))
            : Delta(match.Text, new(EndReason.Stop, match.Stop), cut: true);
    }

    /// <param name="cut">A stop text ended the answer, so what was held back is dropped.</param>
    ChoiceDelta Delta(string text, ChoiceEnd? end, bool cut = false)
    {
        var pieces = PiecesOf(text, end is not null);
        if (_parser is { Ended: true } && end is null) end = new(EndReason.Stop);
        if (_parser is { Calls: > 0 } && end is { Reason: EndReason.Stop }) end = new(EndReason.ToolCalls);
        Finish = end?.Reason;
        var scores = TakeScores(everything: Finished && !cut);
        if (!_begun && request.Echo is { } echo)
        {
            if (echo.Text.Length > 0) pieces = [new AnswerPiece.Text(echo.Text), .. pieces];
            if (_scored) scores = [.. PromptScores.Place(echo, _prompt, tokenizer), .. scores];
        }
        _begun = true;
        var delta = new ChoiceDelta(request.Index, pieces, scores, end);
        request.Record?.Add(text);
        return delta;
    }

    IReadOnlyList<AnswerPiece> PiecesOf(string text, bool isLast)
    {
        if (_parser is null) return text.Length == 0 ? [] : [new AnswerPiece.Text(text)];
        var pieces = _parser.Append(text);
        return isLast ? [.. pieces, .. _parser.End()] : pieces;
    }

    static ChoiceDelta? UnlessEmpty(ChoiceDelta delta) => delta is { Pieces.Count: 0, Scores.Count: 0, End: null } ? null : delta;

    IReadOnlyList<TokenScore> TakeScores(bool everything)
    {
        if (_waiting.Count == 0) return [];
        var taken = new List<TokenScore>();
        while (_waiting.TryPeek(out var first) && (everything || first.Start < _released)) taken.Add(_waiting.Dequeue().Score);
        return taken;
    }

    /// <summary>Looks for stop texts, but not in the tokens that the answer must have.</summary>
    StopMatch Match(string piece)
    {
        _decoded += piece.Length;
        if (_scored) _offset += Characters(piece);
        var match = Tokens > request.Sequence.Sampling.MinTokens ? _stops.Append(piece) : new StopMatch(piece, null);
        _released += match.Text.Length;
        return match;
    }

    static int Characters(string text) => text.Length - text.Count(char.IsLowSurrogate);
}

/// <summary>Places the log-probabilities of an echoed prompt in its text.</summary>
static class PromptScores
{
    /// <param name="scored">The prompt's tokens from the second on.</param>
    public static IReadOnlyList<TokenScore> Place(EncodedPrompt prompt, IReadOnlyList<SampledToken> scored, ITokenizer tokenizer)
    {
        var text = Encoding.UTF8.GetBytes(prompt.Text);
        var places = new List<TokenScore>(prompt.Ids.Count);
        var (at, characters) = (0, 0);
        foreach (var (index, id) in prompt.Ids.Index())
        {
            var token = index == 0 ? new SampledToken(id, float.NaN, []) : scored[index - 1];
            places.Add(new(token, characters, Known: index > 0));
            var length = LengthIn(text.AsSpan(at), tokenizer.BytesOf(id).Span);
            characters += CharactersBegun(text.AsSpan(at, length));
            at += length;
        }
        return places;
    }

    /// <summary>
    /// How many bytes of the text the token stands for. A bos that the text does not show has none; the space that SentencePiece puts in front
    /// does not count.
    /// </summary>
    static int LengthIn(ReadOnlySpan<byte> text, ReadOnlySpan<byte> token)
    {
        if (text.StartsWith(token)) return token.Length;
        return token is [(byte)' ', .. var rest] && text.StartsWith(rest) ? rest.Length : 0;
    }

    static int CharactersBegun(ReadOnlySpan<byte> utf8)
    {
        var count = 0;
        foreach (var unit in utf8)
            if ((unit & 0xC0) != 0x80) count++;
        return count;
    }
}
