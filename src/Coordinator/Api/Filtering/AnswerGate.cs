using System.Text;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Text.Answers;

namespace LlamaCluster.Coordinator.Api.Filtering;

/// <summary>
/// Holds back what an answer gains until a window of it has been judged: of a stream so many characters, of a whole answer all of it. The guard always sees the
/// answer from its beginning, or as much of its end as is judged at a time. One request's; one caller at a time.
/// </summary>
/// <param name="spoken">By prompt, what was said before.</param>
sealed class AnswerGate(
    ContentFilter filter, CompletionRequest request, IReadOnlyList<List<SpokenTurn>> spoken, string model, string requestId,
    FilterOptions options) : IAnswerGate
{
    readonly int _window = request.Settings.Stream ? options.Window : int.MaxValue;
    readonly Dictionary<int, Held> _held = [];

    public async Task<GateOutcome> PassAsync(ChoiceDelta delta, CancellationToken cancellation)
    {
        if (!_held.TryGetValue(delta.Index, out var held)) _held.Add(delta.Index, held = new Held());
        held.Add(delta);
        if (delta.End is null && held.Characters < _window) return default;
        if (held.Characters == 0) return new(held.Release(null, delta));

        var window = new FilteredWindow(requestId, model, delta.Index, held.Told.Length, held.Words, delta.End is not null);
        var filtered = window.Text.Length > 0 ? await filter.FilterAsync(window, cancellation) : FilterAnswer.Fit;
        if (filtered.Problem is { } problem) return new(null, ContentFilter.Unjudged(problem));
        if (filtered.Categories.Count == 0)
        {
            if (filtered.Replacement is { } words) held.Replace(words);
            var turns = SpokenTurns.WithAnswer(spoken[delta.Index / request.Settings.Choices], $"{held.Told}{held.All}");
            var judged = held.Characters == 0 ? FilterAnswer.Fit : await filter.JudgeAsync(turns, FilterVerdict.Answer, cancellation);
            if (judged.Problem is { } why) return new(null, ContentFilter.Unjudged(why));
            filtered = filtered with { Categories = judged.Categories };
        }
        return filtered.Categories.Count > 0
            ? new(new ChoiceDelta(delta.Index, [], [], new ChoiceEnd(EndReason.ContentFilter) { Verdict = new(FilterVerdict.Answer, filtered.Categories) }))
            : new(held.Release(filtered.Replacement, delta)) { IsReplaced = filtered.Replacement is not null };
    }

    /// <summary>What a choice has gained and nobody was told of.</summary>
    sealed class Held
    {
        readonly List<AnswerPiece> _pieces = [];
        readonly List<TokenScore> _scores = [];

        public int Characters { get; private set; }

        /// <summary>All that was let through, reasoning and arguments of calls too.</summary>
        public StringBuilder Told { get; } = new();

        /// <summary>The words for the user that are held back.</summary>
        public string Words => string.Concat(_pieces.OfType<AnswerPiece.Text>().Select(piece => piece.Words));

        public string All => string.Concat(_pieces.Select(TextOf));

        public void Add(ChoiceDelta delta)
        {
            _pieces.AddRange(delta.Pieces);
            _scores.AddRange(delta.Scores);
            Characters += delta.Pieces.Sum(piece => TextOf(piece).Length);
        }

        /// <summary>
        /// Puts other words in the place of those that are held back, where the first of them stood. Log-probabilities of tokens do not fit them.
        /// </summary>
        public void Replace(string words)
        {
            var first = _pieces.FindIndex(piece => piece is AnswerPiece.Text);
            _pieces.RemoveAll(piece => piece is AnswerPiece.Text);
            if (words.Length > 0) _pieces.Insert(Math.Max(0, first), new AnswerPiece.Text(words));
            _scores.Clear();
            Characters = _pieces.Sum(piece => TextOf(piece).Length);
        }

        /// <param name="replaced">Not null: the words are not the model's.</param>
        /// <param name="last">The delta that came last.</param>
        public ChoiceDelta Release(string? replaced, ChoiceDelta last)
        {
            var delta = new ChoiceDelta(last.Index, [.. _pieces], replaced is null ? [.. _scores] : [], last.End);
            Told.Append(All);
            _pieces.Clear();
            _scores.Clear();
            Characters = 0;
            return delta;
        }

        static string TextOf(AnswerPiece piece) => piece switch
        {
            AnswerPiece.Text text => text.Words,
            AnswerPiece.Reasoning reasoning => reasoning.Words,
            AnswerPiece.CallBegun begun => begun.Name,
            AnswerPiece.CallArguments arguments => arguments.Json,
            _ => "",
        };
    }
}
