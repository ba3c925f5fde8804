namespace LlamaCluster.Coordinator.Api;

/// <summary>Bounds of what a request may ask for, so that no client can make the coordinator hold or do without end.</summary>
public static class ApiLimits
{
    /// <summary>Bytes of a request body; more is answered 413.</summary>
    public const int BodyBytes = 4 * 1024 * 1024;

    /// <summary>Nesting of a body's JSON.</summary>
    public const int JsonDepth = 32;

    /// <summary>Prompts times n: the sequences that one request may run at a time.</summary>
    public const int Sequences = 128;

    public const int Messages = 4096;

    /// <summary>OpenAI allows 4 stop strings, vLLM sets no limit.</summary>
    public const int Stops = 16;

    /// <summary>UTF-16 characters of one stop string: what a stream may have to hold back.</summary>
    public const int StopLength = 256;

    public const int StopTokenIds = 64;

    /// <summary>UTF-16 characters.</summary>
    public const int CacheSaltLength = 256;

    public const int LogitBiases = 1024;

    /// <summary>Alternatives reported per token.</summary>
    public const int TopLogprobs = 20;
}
