using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Cli.Bench;

/// <summary>
/// In the place of a draft model: knows the text that will come, and is right about each token with a probability. With a draft model it takes what that
/// takes, whose own answers are dropped. While it has no text it is not there.
/// </summary>
/// <param name="acceptance">0 to 1.</param>
/// <param name="cost">The draft model; null: answers come at once.</param>
sealed class ScriptedDrafts(double acceptance, IDraftModel? cost) : IDraftModel
{
    volatile int[]? _text;

    public bool IsReady => _text is not null && cost is not { IsReady: false };

    /// <summary>Guesses this text from now on.</summary>
    /// <param name="text">Behind the prompt; null: nothing is guessed.</param>
    public void Play(int[]? text) => _text = text;

    public void Ask(DraftQuestion question, Action<DraftAnswer> answer)
    {
        if (cost is null) answer(AnswerTo(question));
        else cost.Ask(question, _ => answer(AnswerTo(question)));
    }

    public void Forget(ulong sequence) => cost?.Forget(sequence);

    DraftAnswer AnswerTo(DraftQuestion question)
    {
        var position = question.From + question.Tokens.Length;
        var rest = (_text ?? []).Skip(position - question.Request.Prompt.Count).Take(question.Count);
        return new DraftAnswer(question.Sequence, position, [.. rest.Select((token, i) => IsRight(position + i) ? token : token ^ 1)]);
    }

    /// <summary>The same at a position whenever it is asked.</summary>
    bool IsRight(int position) => new Random(position).NextDouble() < acceptance;
}
