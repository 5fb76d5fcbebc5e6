-- nothing yet
;;
