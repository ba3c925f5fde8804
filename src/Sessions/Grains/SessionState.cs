using System.Text.Json.Serialization;
using LlamaCluster.Sessions.Storage;

namespace LlamaCluster.Sessions.Grains;

/// <summary>
/// What is kept of a conversation: its messages, and the ids that the model read and wrote for them. The ids of an answer are the ones that were
/// generated, not those that its text would be tokenised to, so a next turn finds all of its KV. Immutable; a turn makes a new one.
/// </summary>
[GenerateSerializer, Immutable]
public sealed record SessionHistory
{
    public static readonly SessionHistory Empty = new();

    /// <summary>As the chat template takes them, a JSON object each, the oldest first.</summary>
    [Id(0)] public string[] Messages { get; init; } = [];

    /// <summary>
    /// The tokens of all messages, from the first position on, up to where <see cref="SessionTurn.AnswerCharacters"/> of the last turn says. Empty: not known,
    /// the messages have to be tokenised.
    /// </summary>
    [Id(1), JsonConverter(typeof(TokenIdsConverter))] public int[] Ids { get; init; } = [];

    /// <summary>The turns whose answers are among the messages, the oldest first.</summary>
    [Id(2)] public SessionTurn[] Turns { get; init; } = [];

    /// <summary>Digest of the model, or of the adapter with a vocabulary of its own, that the ids belong to; empty: there are none.</summary>
    [Id(3)] public string Model { get; init; } = "";

    /// <summary>Further variables of the chat template, a JSON object; null: none.</summary>
    [Id(4)] public string? Variables { get; init; }

    /// <summary>How many of the oldest messages were dropped because the context was full.</summary>
    [Id(5)] public int Dropped { get; init; }

    /// <summary>The replica that ran the last turn; empty: none.</summary>
    [Id(6)] public string Replica { get; init; } = "";

    /// <summary>How many positions of KV that replica had of the session when the last turn ended. It may have given them up since.</summary>
    [Id(7)] public int ResidentPositions { get; init; }

    /// <summary>
    /// Digest of what else the prompt was made from: functions, variables, the template. The ids stand for the messages only beside the same.
    /// </summary>
    [Id(8)] public string Form { get; init; } = "";

    /// <summary>Digest of the model or adapter that ran the last turn, whose KV <see cref="ResidentPositions"/> counts; empty: none, or not known.</summary>
    [Id(9)] public string Weights { get; init; } = "";

    /// <summary>The history as it was after the first of its turns.</summary>
    /// <param name="turns">1 to the number of <see cref="Turns"/>.</param>
    public SessionHistory UpTo(int turns)
    {
        var last = Turns[turns - 1];
        return this with
        {
            Messages = Messages[..last.Messages],
            Ids = last.Ids <= Ids.Length ? Ids[..last.Ids] : [],
            Turns = Turns[..turns],
            ResidentPositions = 0,
            Replica = "",
            Weights = "",
        };
    }
}

/// <summary>One question and its answer.</summary>
/// <param name="Messages">The number of messages in the history up to its answer.</param>
/// <param name="Ids">The number of ids that stand for them; 0: not known any more.</param>
/// <param name="AnswerCharacters">So many UTF-16 characters of the answer are among these ids. A stop text or half a character can end within a token.</param>
/// <param name="Written">
/// The answer as the model wrote it, with the marks of reasoning and calls, where its message has these apart; null: the message's content.
/// </param>
[GenerateSerializer, Immutable]
public sealed record SessionTurn(int Messages, int Ids, int AnswerCharacters, string? Written = null);

/// <summary>A session as it is stored.</summary>
[GenerateSerializer, Immutable]
public sealed record SessionState
{
    /// <summary>The version of this form.</summary>
    public const int CurrentVersion = 1;

    [Id(0)] public int Version { get; init; } = CurrentVersion;

    /// <summary>Whose it is, for limits. Not a secret, and no proof.</summary>
    [Id(1)] public string Client { get; init; } = "";

    /// <summary>The chat template takes it for the time of day, so that the beginning of a prompt does not change from turn to turn.</summary>
    [Id(2)] public DateTimeOffset Created { get; init; }

    [Id(3)] public DateTimeOffset Updated { get; init; }

    /// <summary>It ends so long after it was last used. Null: never.</summary>
    [Id(4)] public TimeSpan? TimeToLive { get; init; }

    /// <summary>Grows with every change of the history. A turn that began at another epoch cannot be committed.</summary>
    [Id(5)] public long Epoch { get; init; }

    /// <summary>Turns that were committed, those dropped since among them.</summary>
    [Id(6)] public int TurnsTaken { get; init; }

    /// <summary>Notes of the client, a JSON object; null: none.</summary>
    [Id(7)] public string? Metadata { get; init; }

    [Id(8)] public SessionHistory History { get; init; } = SessionHistory.Empty;

    /// <summary>The lease of the last turn that was committed. A commit that is asked for again is known by it.</summary>
    [Id(9)] public Guid LastTurn { get; init; }

    [JsonIgnore] public DateTimeOffset? Expires => Updated + TimeToLive;

    public bool HasExpired(DateTimeOffset now) => Expires <= now;

    public SessionEntry ToEntry(string id) => new(
        id, Client, History.Model, Created, Updated, Expires, TurnsTaken, History.Messages.Length, History.Ids.Length, Epoch);
}
