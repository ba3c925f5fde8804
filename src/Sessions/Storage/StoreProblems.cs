using LlamaCluster.Primitives;
using Orleans.Runtime.Messaging;

namespace LlamaCluster.Sessions.Storage;

/// <summary>The one place where what went wrong with a store, or with the silo that uses it, becomes a line for people.</summary>
static class StoreProblems
{
    /// <summary>The call met a silo that is gone. Once the others know that, the same call reaches the grain elsewhere.</summary>
    public static bool IsOfDeadSilo(Exception failure)
        => failure is SiloUnavailableException or OrleansMessageRejectionException or ConnectionFailedException;

    public static StateStoreException Explain(Exception failure, StatePlace place)
    {
        for (var cause = failure; cause is not null; cause = cause.InnerException)
            if (cause is StateStoreException known) return known;
        var why = failure switch
        {
            _ when place is StatePlace.Redis && failure.ToString().Contains("StackExchange.Redis", StringComparison.Ordinal)
                => "it does not answer; start it, or look at the network between",
            TimeoutException => "a call was not answered in time",
            OperationCanceledException => "it did not start in time",
            _ => ErrorText.Sentence(failure.Message),
        };
        return new StateStoreException($"sessions cannot be kept in {place}: {why}", failure);
    }
}
