namespace LlamaCluster.Sessions.Responses;

/// <summary>How much of one owner's is kept. What was made first makes room.</summary>
public readonly record struct ResponseLimits(int Responses, long Bytes);

/// <summary>Keeps responses by id. They never change, so there is nothing to be agreed on between those who read them.</summary>
interface IResponseStore : IAsyncDisposable
{
    /// <summary>When this returns, it is kept.</summary>
    /// <param name="expires">Null: never.</param>
    Task PutAsync(ResponseState response, DateTimeOffset? expires, ResponseLimits limits);

    /// <returns>Null if there is none, or if its time is over.</returns>
    Task<ResponseState?> FindAsync(string id, DateTimeOffset now);

    Task DeleteAsync(ResponseState response);

    /// <summary>Removes those whose time is over, where they do not end by themselves.</summary>
    Task SweepAsync(DateTimeOffset now);
}
