namespace LlamaCluster.Coordinator.Api;

/// <summary>What one request may ask for, so that no client can make the coordinator hold or do more than it has room for.</summary>
static class ApiLimits
{
    /// <summary>Bytes of a request body; a longer one is answered 413.</summary>
    public const int BodyBytes = 4 * 1024 * 1024;

    /// <summary>Bytes of the bodies that all requests hold at a time; one more is answered 503.</summary>
    public const int BodyBytesOfAll = 32 * 1024 * 1024;

    /// <summary>Bytes per second at which a body must arrive, on average, after <see cref="BodyGrace"/>; a slower one is answered 408.</summary>
    public const int BodyBytesPerSecond = 16 * 1024;

    /// <summary>Bytes of a request's path and query; a longer one is answered 414.</summary>
    public const int TargetBytes = 8 * 1024;

    /// <summary>Bytes of all headers of a request; more are answered 431.</summary>
    public const int HeaderBytes = 32 * 1024;

    /// <summary>Headers of a request; more are answered 431.</summary>
    public const int Headers = 100;

    /// <summary>
    /// What the server reads of a request's head is so many times as much: up to here an answer has a body that says why. What is longer still
    /// the server refuses by itself, without a body.
    /// </summary>
    public const int HeadSlack = 2;

    /// <summary>Nesting of a body's JSON. Schemas of functions nest deeply.</summary>
    public const int JsonDepth = 64;

    /// <summary>Prompts times n: the sequences that one request may run at a time.</summary>
    public const int Sequences = 128;

    public const int Messages = 4096;

    /// <summary>Functions that a request may offer. OpenAI allows 128; agents that speak to several servers of tools bring more.</summary>
    public const int Tools = 1024;

    /// <summary>OpenAI allows 4 stop strings, vLLM sets no limit.</summary>
    public const int Stops = 16;

    /// <summary>UTF-16 characters of one stop string: what a stream may have to hold back.</summary>
    public const int StopLength = 256;

    public const int StopTokenIds = 64;

    /// <summary>UTF-16 characters.</summary>
    public const int CacheSaltLength = 256;

    public const int LogitBiases = 1024;

    /// <summary>Requests that wait for their prompts to be encoded; one more is answered 503.</summary>
    public const int EncodingsWaiting = 64;

    /// <summary>How long a request waits for its prompts to be encoded before it is answered 503.</summary>
    public static readonly TimeSpan EncodingWait = TimeSpan.FromSeconds(10);

    /// <summary>How long a body may take at any speed. Kestrel's own default.</summary>
    public static readonly TimeSpan BodyGrace = TimeSpan.FromSeconds(5);

    /// <summary>Prompts encoded at a time. Half of the processors, so that encoding never takes the thread pool from everything else.</summary>
    public static int EncodingsAtATime { get; } = Math.Max(1, Environment.ProcessorCount / 2);
}
