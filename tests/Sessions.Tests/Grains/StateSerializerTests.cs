using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Storage;

namespace LlamaCluster.Sessions.Tests.Grains;

public sealed class StateSerializerTests
{
    readonly StateSerializer _serializer = new();

    [Fact]
    public void A_session_of_a_form_that_is_not_known_is_refused_with_what_to_do()
    {
        var refused = Assert.Throws<StateStoreException>(() => _serializer.Deserialize<SessionState>(new BinaryData("""{"version":7,"client":"me"}""")));
        Assert.Equal("the session is stored in form 7, and this version reads form 1: use the version that stored it, or delete the session", refused.Message);
    }

    [Fact]
    public void What_is_stored_comes_back()
    {
        var state = new SessionState
        {
            Client = "me",
            History = SessionHistory.Empty with { Ids = [1, 2], Turns = [new SessionTurn(2, 2, 5), new SessionTurn(4, 2, 9, "written")] },
        };
        var read = _serializer.Deserialize<SessionState>(_serializer.Serialize(state));
        Assert.Equal((state.Client, state.Version), (read.Client, read.Version));
        Assert.Equal(state.History.Ids, read.History.Ids);
        Assert.Equal(state.History.Turns, read.History.Turns);
        Assert.Equal("{}", _serializer.Serialize(new SessionTurn(0, 0, 0)).ToString());   // what a turn does not have takes no room
    }
}
