using System.Text;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>A choice's deltas, put together.</summary>
sealed class WholeChoice
{
    readonly StringBuilder _text = new();
    readonly List<TokenScore> _scores = [];

    public string Text => _text.ToString();

    public IReadOnlyList<TokenScore> Scores => _scores;

    public FinishReason? Finish { get; private set; }

    public void Add(ChoiceDelta delta)
    {
        _text.Append(delta.Text);
        _scores.AddRange(delta.Scores);
        Finish = delta.Finish;
    }
}
