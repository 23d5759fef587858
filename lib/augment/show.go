package augment

import "fmt"

func (a *Autoencoder) String() string {
	return fmt.Sprintf("an autoencoder of images with %d channels, root mean square error %.4f", a.channels, a.RMSE)
}

func (d Distortion) String() string { return d.Name }

func (o Operation) String() string { return o.Name }
