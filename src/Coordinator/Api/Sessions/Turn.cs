using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Sessions.Grains;

namespace LlamaCluster.Coordinator.Api.Sessions;

/// <summary>
/// A request on its way from its prompts to the end of its answer, and what the two have to do with a session. This one has nothing to do with a stored one.
/// </summary>
class Turn(CompletionRequest request, IReadOnlyList<EncodedPrompt> prompts) : IAsyncDisposable
{
    /// <summary>With the session's id, if it has one.</summary>
    public CompletionRequest Request => request;

    public IReadOnlyList<EncodedPrompt> Prompts => prompts;

    /// <summary>Where the KV of the turns before is; null: not known.</summary>
    public virtual KvPlace? KvAt => null;

    /// <summary>Takes down the answer; null: nobody needs it.</summary>
    public virtual AnswerRecord? Record => null;

    /// <summary>To be called when the answer is made and its end has not been told; null: nothing is to be done. Gives an error that ends the answer.</summary>
    public virtual Func<Task<ApiError?>>? Closing => null;

    /// <summary>The conversation with this turn's answer, as it is when that has ended.</summary>
    /// <exception cref="InvalidOperationException">Nobody takes the answer down.</exception>
    public virtual SessionHistory HistoryWithAnswer() => throw new InvalidOperationException("nobody takes the answer of this turn down");

    /// <summary>The answer failed: what there is of it is not to be kept.</summary>
    public virtual void Discard()
    {
    }

    /// <summary>Ends the turn, whatever became of the answer.</summary>
    public virtual ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
