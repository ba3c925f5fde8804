namespace LlamaCluster.Coordinator.Api.Reading;

/// <summary>The first thing found wrong with a request. Readers go on after it with default values, so that rules read as a list.</summary>
sealed class FirstError
{
    public ApiError? Error { get; private set; }

    public void Add(ApiError error) => Error ??= error;
}
