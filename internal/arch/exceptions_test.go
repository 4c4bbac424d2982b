package arch

// exception is a type that is allowed more methods than the others.
type exception struct {
	most int
	why  string
}

// wideInterfaces are the interfaces that may have more methods than maxInterface.
var wideInterfaces = map[string]exception{
	".Deployer":                 {7, "the API's sets are being split"},
	".Engine":                   {18, "the ports are being split"},
	".Inspector":                {10, "the API's sets are being split"},
	".Store":                    {18, "the ports are being split"},
	"cmd/rhumb/view.Deployment": {8, "what follows a deployment calls each of them at its own point"},
	"doctor.engine":             {7, "the part of the engine's client that only reads; one method for each kind of thing"},
}

// manyMethods are the types that may have more methods than maxMethods.
var manyMethods = map[string]exception{
	"certs.Keeper":                           {26, "to be split"},
	"cmd/rhumb.app":                          {79, "one method for each command; a file for each command"},
	"compose.inspector":                      {42, "one method for each kind of value that can be wrong"},
	"compose/internal/convert.converter":     {90, "one method for each key that is converted"},
	"control.Control":                        {49, "to be split"},
	"control.runner":                         {64, "to be split"},
	"engine/docker.Engine":                   {89, "to be split"},
	"engine/docker/internal/drawing.drawing": {28, "one method for each part of a container's specification"},
	"engine/enginefake.Engine":               {72, "to be split"},
	"httpapi/client.Client":                  {33, "the API's sets, one method each"},
	"proxy.Proxy":                            {36, "to be split"},
	"proxy/internal/inbound.Conn":            {27, "a net.Conn has eight methods of its own"},
	"rollout.service":                        {69, "to be split"},
	"rollout.turn":                           {51, "to be split"},
	"sqlite.Store":                           {42, "the store's ports, one method each"},
}
