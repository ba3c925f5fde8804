namespace LlamaCluster.Coordinator;

/// <summary>A second, smaller model that guesses what the served one will say. It runs on a worker of its own.</summary>
/// <param name="ModelPath">A .gguf file or a Hugging Face folder. Its tokens must be those of the served model.</param>
/// <param name="GrpcListen">Where its worker reaches the coordinator. Port 0 takes a free one.</param>
public sealed record DraftOptions(string ModelPath, string GrpcListen)
{
    public const string ModelName = "--draft-model";
    public const string ListenName = "--draft-grpc-listen";
}
